/**
 * An empty kernel made full, and all weights of a full one changed: by the agent as it ships (from the start of its
 * process to its end; the signed state on its disk, as after a reboot, then `apply FILE`), by ipvsadm and by
 * keepalived, each in a namespace of its own.
 */
import { writeFileSync } from 'node:fs'
import { AGENT_BUNDLE, AGENT_NODE_FLAGS } from '../../scripts/build.ts'
import type { Lab } from '../../test/lab/lab.ts'
import { bundle } from '../bundle.ts'
import { figure, median, ms, type Figure } from '../figure.ts'
import { untilWeight, watched } from '../full-table.ts'
import { keepalivedStart } from '../keepalived.ts'
import { inNamespace, timed } from '../namespace.ts'
import type { Outside } from '../outside.ts'
import type { Row } from '../row.ts'
import { sizeName, WIDTH, type Size } from '../size.ts'
import { makeStateDirectory } from '../state-directory.ts'
import { ipvsadmText, stateText } from '../tables.ts'

const REPEATS = 3
const BOUND_MS = 120_000
const IPVSADM_BOUND_MS = 300_000
const FIRST = 3
const SECOND = 7

export const programRow: Row = {
  name: 'program',
  summary: 'an empty kernel made full, and all weights changed: agent, ipvsadm, keepalived',
  inGuest: true,
  measure,
}

type Took = {
  readonly whole: number
  readonly reweigh: number
  readonly kernel: number
}

async function measure(outside: Outside): Promise<readonly Figure[]> {
  const fleet = await outside.fleet()
  const { lab } = fleet
  const program = await bundle(new URL('../guest/program.ts', import.meta.url))
  await lab.sh('root', 'mkdir -p /run/bench')
  const put = async (name: string, text: string) => {
    writeFileSync(`${lab.dir}/${name}`, text)
    await lab.sh('root', `cp ${lab.guestDir}/${name} /run/bench/${name}`)
  }
  const figures: Figure[] = []
  for (const size of [1_000, 10_000] as const) {
    await put('first.json', stateText(size, FIRST))
    await put('second.json', stateText(size, SECOND))
    await makeStateDirectory(`${lab.dir}/state-${size}`, size, FIRST)
    await put('ipvsadm', ipvsadmText(size, FIRST))
    const agents: Took[] = []
    const others: number[] = []
    for (let i = 0; i < REPEATS; i++) {
      outside.log(`agent and ipvsadm, ${sizeName(size)}, ${i + 1} of ${REPEATS}`)
      agents.push(await byAgent(lab, program, size))
      others.push(
        (await inNamespace(lab, (name) =>
          timed(lab, name, 'ipvsadm -R < /run/bench/ipvsadm', IPVSADM_BOUND_MS),
        )) ?? Number.POSITIVE_INFINITY,
      )
    }
    const whole = median(agents.map((took) => took.whole))
    const reweigh = median(agents.map((took) => took.reweigh))
    const kernel = median(agents.map((took) => took.kernel))
    figures.push(besideIpvsadm(size, whole, kernel, median(others)))
    figures.push(
      figure(`all weights changed, ${sizeName(size)}: whole agent process`, ms(reweigh), {
        numbers: { reweighMs: reweigh },
      }),
    )
    if (size !== 1_000) continue
    outside.log(`keepalived, ${sizeName(size)}`)
    const weights = { first: FIRST, second: SECOND }
    const start = await keepalivedStart(lab, size, weights, REPEATS)
    const full = await watched(REPEATS, (quietMs) => agentStart(lab, size, quietMs))
    figures.push(
      besideKeepalived(
        `${sizeName(size)} from empty: agent's start to full table`,
        full,
        'start',
        start,
      ),
    )
  }
  return figures
}

function besideIpvsadm(size: Size, whole: number, kernel: number, other: number): Figure {
  const isBounded = !Number.isFinite(other)
  const otherMs = isBounded ? IPVSADM_BOUND_MS : other
  const ratio = otherMs / whole
  const times = `${isBounded ? 'at least ' : ''}${ratio.toFixed(1)} x`
  return figure(
    `${sizeName(size)} from empty: whole agent process`,
    `${ms(whole)} (kernel port alone ${ms(kernel)})`,
    {
      beside: `ipvsadm -R ${isBounded ? '> ' : ''}${ms(otherMs)}: ${times}`,
      target: size === 10_000 ? '>= 10 x as fast as ipvsadm -R' : '',
      met: size === 10_000 ? ratio >= 10 : null,
      numbers: { agentMs: whole, kernelPortMs: kernel, ipvsadmMs: otherMs, isBounded, ratio },
    },
  )
}

function besideKeepalived(what: string, agent: number, verb: string, other: number): Figure {
  const ratio = other / agent
  return figure(what, ms(agent), {
    beside: `keepalived ${verb} ${ms(other)}: ${ratio.toFixed(1)} x`,
    target: `ahead of keepalived's ${verb}`,
    met: ratio > 1,
    numbers: { agentMs: agent, keepalivedMs: other, ratio },
  })
}

const STATE = '/run/bench/state'

/** As a reboot finds it. */
async function freshState(lab: Lab, size: Size): Promise<void> {
  await lab.sh('root', `rm -rf ${STATE} && cp -r ${lab.guestDir}/state-${size} ${STATE}`)
}

function agent(...words: readonly string[]): string {
  const node = [process.execPath, ...AGENT_NODE_FLAGS, AGENT_BUNDLE]
  return [...node, ...words, '--state-dir', STATE].join(' ')
}

/** Until the table is full, which is seen as it is for keepalived; the end of the process is not in it. */
async function agentStart(lab: Lab, size: Size, quietMs: number): Promise<number> {
  await freshState(lab, size)
  return inNamespace(lab, async (name) => {
    const full = untilWeight(FIRST, size * WIDTH, quietMs)
    return within(lab, name, `${agent('run', '--once')} >/run/bench-agent.log 2>&1 & ${full}`)
  })
}

async function within(lab: Lab, host: string, command: string): Promise<number> {
  const took = await timed(lab, host, command, BOUND_MS)
  if (took === undefined) throw new Error(`not done within ${BOUND_MS} ms: ${command}`)
  return took
}

async function byAgent(lab: Lab, program: string, size: Size): Promise<Took> {
  await freshState(lab, size)
  const { whole, reweigh } = await inNamespace(lab, async (name) => ({
    whole: await within(lab, name, agent('run', '--once')),
    reweigh: await within(lab, name, agent('apply', '/run/bench/second.json')),
  }))
  const kernel = await inNamespace(lab, async (name) => {
    const command = [process.execPath, ...AGENT_NODE_FLAGS, program, '/run/bench/first.json']
    return Number(await lab.sh(name, command, { timeoutMs: BOUND_MS }))
  })
  return { whole, reweigh, kernel }
}
