/** Drains under load on a real kernel: nothing that stands is cut before its deadline, whoever dies in between. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Hold } from '../host/traffic.ts'
import { eventually } from './eventually.ts'
import { FleetLab, twoSiteIntent } from './fleet-lab.ts'

const VIP = '10.1.0.100'
const WEB = `http://${VIP}/`
/** Of site a, by DR: no tunnel, so that every engine of the lab can do it. */
const SERVERS = ['rs-a1', 'rs-a2']
const HOSTS = ['dir-a', ...SERVERS]
const DRAINED = 'rs-a2'
const ADDRESS = '10.1.0.12'
const CONNECTIONS = 1_000
const PARALLEL = 40
/** Long enough to kill and start the agent and to ask each connection twice. */
const DEADLINE_MS = 45_000
/** Between bytes on a held connection: a thousand of them are then 500 packets a second. */
const EVERY_MS = 2_000

/** Site a alone: web as in the README, a persistent service and one of UDP beside it. */
function intent(): unknown {
  const document = twoSiteIntent()
  const shared = { pool: 'web', scheduler: 'wrr', carriedBy: { sites: ['a'] } }
  document['pools'] = { web: { members: SERVERS.map((realServer) => ({ realServer })) } }
  document['virtualServices'] = {
    'web-a': { ...shared, vips: [VIP], ports: [80] },
    sticky: {
      ...shared,
      vips: ['10.1.0.101'],
      ports: [80],
      persistence: { timeoutSeconds: 120 },
    },
    dns: { ...shared, protocol: 'udp', vips: ['10.1.0.102'], ports: [53] },
  }
  document['directors'] = {
    ...document['directors'],
    'dir-a': { ...document['directors']?.['dir-a'], ipvs: { timeouts: { udpSeconds: 8 } } },
  }
  return document
}

describe('a real server that drains', () => {
  let fleet: FleetLab

  before(async () => {
    fleet = await FleetLab.start()
    await fleet.serveAll()
    await fleet.applyIntent(intent())
    // The others would only take time from these.
    await Promise.all(HOSTS.map((name) => fleet.startAgent(name)))
    await fleet.converged(HOSTS, 120_000)
    for (const name of SERVERS) {
      await fleet.lab.serveUdp(name, { port: 53, bind: '10.1.0.102' })
    }
  })
  after(async () => fleet.stop())

  it(`keeps ${CONNECTIONS} connections until its deadline, over kill -9 of agent and API, and none after`, async () => {
    await onlyWeight(fleet, DRAINED)
    const holds = await openHolds(fleet, CONNECTIONS)
    await equalWeights(fleet)
    const deadline = Date.now() + DEADLINE_MS
    await drain(fleet, 'load', deadline)
    await eventually(async () => assert.equal(await weight(fleet, VIP), '0'))
    await eventually(async () => {
      const { state, activeConnections } = await status(fleet, 'load')
      assert.deepEqual([state, activeConnections], ['draining', CONNECTIONS])
    })
    assert.deepEqual(await answered(fleet, WEB), others())

    await fleet.stopAgent('dir-a', 'SIGKILL')
    await fleet.controller.kill()
    await fleet.startAgent('dir-a', { enrol: false })
    const before = await bytesOf(holds)
    await sleep(Math.max(0, deadline - 8_000 - Date.now()))
    const later = await bytesOf(holds)
    assert.ok(Date.now() < deadline, 'asking took longer than the drain')
    assert.equal(await weight(fleet, VIP), '0')
    const cut = later.filter((bytes, i) => bytes === undefined || bytes <= (before[i] ?? 0))
    assert.equal(cut.length, 0, `${cut.length} connections were cut before the deadline`)

    await eventually(async () => assert.equal(await weight(fleet, VIP), undefined), {
      withinMs: deadline - Date.now() + 15_000,
    })
    assert.ok(Date.now() >= deadline - 1_000, 'removed before its deadline')
    assert.deepEqual(await answered(fleet, WEB), others())
    await inBatches(holds, (hold) => hold.close())

    await fleet.controller.start()
    await fleet.lab.setApiPort(fleet.controller.port)
    await eventually(async () => assert.equal((await status(fleet, 'load')).state, 'drained'), {
      withinMs: 45_000,
    })
    await fleet.controller.call('DELETE', '/v1/drains/load')
    await fleet.converged(['dir-a'])
    await eventually(async () => assert.deepEqual(await answered(fleet, WEB), SERVERS))
  })

  it('moves persistent clients at once, waits for UDP until the kernel forgot it, and goes when idle', async () => {
    await onlyWeight(fleet, DRAINED)
    const sticky = 'http://10.1.0.101/'
    const held = await fleet.lab.hold('cl-a', { url: sticky })
    await servedByDrained(held)
    const said = await fleet.lab.udp('cl-a', { address: '10.1.0.102', port: 53 })
    assert.match(Object.keys(said).join(), new RegExp(`^${DRAINED}:`))
    await equalWeights(fleet)
    const begun = Date.now()
    await drain(fleet, 'rules', begun + 60_000)
    await eventually(async () => assert.equal(await weight(fleet, '10.1.0.101'), '0'))
    // The template still leads there, but at weight 0 the kernel does not follow it.
    const moved = await answered(fleet, sticky)
    assert.ok(!moved.includes(DRAINED), moved.join())
    // The web service has no connection there: idle seconds, and out.
    await eventually(async () => assert.equal(await weight(fleet, VIP), undefined), {
      withinMs: 20_000,
    })
    await eventually(
      async () => assert.equal(await weight(fleet, '10.1.0.102', '-u', 53), undefined),
      {
        withinMs: 30_000,
      },
    )
    assert.equal(await weight(fleet, '10.1.0.101'), '0')
    assert.equal((await held.status()).alive, true)
    await held.close()
    await eventually(async () => assert.equal(await weight(fleet, '10.1.0.101'), undefined), {
      withinMs: 25_000,
    })
    assert.ok(Date.now() < begun + 60_000, 'it was the deadline and not idleness')
    await fleet.controller.call('DELETE', '/v1/drains/rules')
    await fleet.converged(['dir-a'])
  })
})

async function onlyWeight(fleet: FleetLab, only: string): Promise<void> {
  const members = SERVERS.map((realServer) => ({
    realServer,
    weight: realServer === only ? 100 : 0,
  }))
  await fleet.controller.call('PATCH', '/v1/pools/web?force=true', { members })
  await fleet.converged(['dir-a'])
}

async function equalWeights(fleet: FleetLab): Promise<void> {
  const members = SERVERS.map((realServer) => ({ realServer, weight: 100 }))
  await fleet.controller.call('PATCH', '/v1/pools/web?force=true', { members })
  await fleet.converged(['dir-a'])
}

async function drain(fleet: FleetLab, name: string, deadlineMs: number): Promise<void> {
  const deadline = new Date(deadlineMs).toISOString()
  await fleet.controller.call('PUT', `/v1/drains/${name}`, {
    realServer: DRAINED,
    reason: 'the test says so',
    deadline,
    idleSeconds: 3,
  })
}

async function status(
  fleet: FleetLab,
  name: string,
): Promise<{ state: string; activeConnections: number }> {
  const answer = await fleet.controller.call('GET', `/v1/drain-status/${name}`)
  return answer as { state: string; activeConnections: number }
}

async function openHolds(fleet: FleetLab, count: number): Promise<Hold[]> {
  const holds: Hold[] = []
  while (holds.length < count) {
    const wave = await Promise.all(
      Array.from({ length: Math.min(PARALLEL, count - holds.length) }, () =>
        fleet.lab.hold('cl-a', { url: WEB, everyMs: EVERY_MS }),
      ),
    )
    await Promise.all(wave.map(servedByDrained))
    holds.push(...wave)
  }
  return holds
}

/** On a slow machine the first byte may take longer than opening waits for it. */
async function servedByDrained(hold: Hold): Promise<void> {
  await eventually(
    async () => {
      const { answerer, error } = await hold.status()
      assert.ok(answerer.startsWith(`${DRAINED}:`), `answered by ${answerer} ${error ?? ''}`)
    },
    { withinMs: 20_000 },
  )
}

/** Bytes that came so far; undefined where the connection broke or ended. */
async function bytesOf(holds: readonly Hold[]): Promise<(number | undefined)[]> {
  const all = await inBatches(holds, (hold) => hold.status())
  return all.map(({ error, bytes }) => (error === undefined ? bytes : undefined))
}

async function inBatches<T>(holds: readonly Hold[], ask: (hold: Hold) => Promise<T>): Promise<T[]> {
  const answers: T[] = []
  for (let i = 0; i < holds.length; i += PARALLEL) {
    answers.push(...(await Promise.all(holds.slice(i, i + PARALLEL).map(ask))))
  }
  return answers
}

function others(): string[] {
  return SERVERS.filter((name) => name !== DRAINED)
}

/** Real servers that answer new connections now, sorted. */
async function answered(fleet: FleetLab, url: string): Promise<string[]> {
  const answers = await fleet.lab.get('cl-a', { url, n: 24, timeoutMs: 5_000 })
  const names = Object.keys(answers).map((answer) => answer.split(':')[0] ?? answer)
  return [...new Set(names)].toSorted()
}

/** In the kernel of dir-a; undefined = it is not there. */
async function weight(
  fleet: FleetLab,
  vip: string,
  protocol = '-t',
  port = 80,
): Promise<string | undefined> {
  const table = await fleet.lab.ipvsadm('dir-a')
  const begin = `-a ${protocol} ${vip}:${port} -r ${ADDRESS}:${port} `
  const line = table.find((one) => one.startsWith(begin))
  return line === undefined ? undefined : / -w (\d+)/.exec(line)?.[1]
}
