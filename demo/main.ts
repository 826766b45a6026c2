/**
 * npm run demo: the whole main job on one machine. A controller with its own Postgres, two sites of
 * real kernels in the lab, agents that enrol, client traffic, and then what operators do to a fleet.
 * Ends clean by itself; with --keep it stays up to be explored until Ctrl-C.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs, styleText } from 'node:util'
import { FleetLab } from '../test/lab/fleet/fleet-lab.ts'
import { byServer } from '../test/lab/histogram.ts'
import type { Load } from '../test/lab/host/traffic.ts'
import { drawMap, drawTraffic } from './picture.ts'

const HELP = `npm run demo [-- OPTIONS]

  --keep            leave everything up and print how to explore it; Ctrl-C ends it
  --engine NAME     qemu (default), qemu-6.12 or uml: the kernel lab's engine
  --help            this text

Examples:
  npm run demo
  npm run demo -- --keep
  npm run demo -- --engine uml`

const WATCH_SECONDS = 3
/** Gentle: the lab's kernel runs on an emulated processor. */
const RATE_PER_SECOND = 15
const REQUEST_TIMEOUT_MS = 3_000

type Client = { readonly name: string; readonly vip: string; readonly load: Load }

const options = readOptions()
const started = Date.now()
await main()

function readOptions(): { keep: boolean } {
  try {
    const { values } = parseArgs({
      options: {
        keep: { type: 'boolean', default: false },
        engine: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      console.log(HELP)
      process.exit(0)
    }
    if (values.engine !== undefined) process.env['LAB_ENGINE'] = values.engine
    return { keep: values.keep }
  } catch (error) {
    console.error(
      `${error instanceof Error ? error.message : String(error)}; see npm run demo -- --help`,
    )
    process.exit(2)
  }
}

async function main(): Promise<void> {
  const interrupted = new AbortController()
  process.once('SIGINT', () => interrupted.abort())
  process.once('SIGTERM', () => interrupted.abort())
  await using fleet = await FleetLab.start(say)
  const show = async () => {
    interrupted.signal.throwIfAborted()
    await fleet.bringUp(say)
    await walkThrough(fleet, interrupted.signal)
    if (options.keep) await explore(fleet, interrupted.signal)
  }
  await show().catch((error: unknown) => {
    if (!interrupted.signal.aborted) throw error
  })
  say('ending; everything that was made is removed')
}

async function walkThrough(fleet: FleetLab, signal: AbortSignal): Promise<void> {
  title('Two sites, one intent')
  console.log(drawMap())
  const clients = await startClients(fleet)
  await watch(clients, signal)

  title('A weight changes: rs-a1 from 100 to 300')
  const since = Date.now()
  await setWeight(fleet, 'rs-a1', 300)
  await fleet.converged(['dir-a', 'dir-b'])
  say(`in both kernels and reported after ${Date.now() - since} ms`)
  await watch(clients, signal)

  title('Site b drains: no new connection goes there, from any director')
  await fleet.controller.call('PATCH', '/v1/sites/b?force=true', { state: 'drain' })
  await fleet.converged(['dir-a', 'dir-b'])
  await watch(clients, signal)

  title('The controller is killed (SIGKILL), its database with it')
  await fleet.controller.kill()
  await watch(clients, signal)
  say('nothing changed for the clients: directors need no controller to forward')

  title('The controller starts again, site b comes back')
  await fleet.controller.start()
  await fleet.controller.call('PATCH', '/v1/sites/b?force=true', { state: 'active' })
  await fleet.converged(['dir-a', 'dir-b'])
  await watch(clients, signal)
  for (const { load } of clients) await load.stop()
  say(`all of this took ${Math.round((Date.now() - started) / 1000)} s`)
}

async function startClients(fleet: FleetLab): Promise<Client[]> {
  const pairs = [
    ['cl-a', '10.1.0.100'],
    ['cl-b', '10.2.0.100'],
  ] as const
  const clients = await Promise.all(
    pairs.map(async ([name, vip]) => ({ name, vip, load: await startLoad(fleet, name, vip) })),
  )
  // The first packets pay for neighbour discovery and cold caches of an emulated machine.
  await sleep(1_500)
  return clients
}

async function startLoad(fleet: FleetLab, client: string, vip: string): Promise<Load> {
  const url = `http://${vip}/`
  const options = { url, ratePerSecond: RATE_PER_SECOND, timeoutMs: REQUEST_TIMEOUT_MS }
  return fleet.lab.load(client, options)
}

/** Shows what the clients saw in the next few seconds and nothing from before. */
async function watch(clients: readonly Client[], signal: AbortSignal): Promise<void> {
  for (const { load } of clients) await load.snapshot()
  const since = Date.now()
  await sleep(WATCH_SECONDS * 1000, undefined, { signal })
  const traffic = await Promise.all(
    clients.map(async ({ name, vip, load }) => {
      const { answers, errors } = await load.snapshot()
      const seconds = (Date.now() - since) / 1000
      return { client: name, vip, answers: byServer(answers), errors, seconds }
    }),
  )
  console.log(drawTraffic({ traffic }))
}

async function setWeight(fleet: FleetLab, realServer: string, weight: number): Promise<void> {
  const members = ['rs-a1', 'rs-a2', 'rs-b1', 'rs-b2'].map((name) => ({
    realServer: name,
    weight: name === realServer ? weight : 100,
  }))
  await fleet.controller.call('PATCH', '/v1/pools/web?force=true', { members })
}

async function explore(fleet: FleetLab, signal: AbortSignal): Promise<void> {
  title('Yours to explore; Ctrl-C ends it')
  console.log(`   export LVSFLEET_API=${fleet.controller.url}
   export LVSFLEET_KEY_FILE=${fleet.controller.dataDir}/admin.key
   npx lvsfleet status                    what every host says
   npx lvsfleet explain web-a             which method each director uses, and why
   npx lvsfleet get pools -o yaml         the intent
   ${fleet.controller.url}/openapi.json`)
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

function title(text: string): void {
  console.log(`\n${styleText('bold', `── ${text}`)}`)
}

function say(text: string): void {
  console.log(
    styleText('dim', `   ${((Date.now() - started) / 1000).toFixed(1).padStart(5)} s  ${text}`),
  )
}
