/**
 * What a running agent costs, from one start of it for each size: memory after a minute of idleness, CPU while
 * nothing changes, and CPU and kernel messages of one weight change on the full table.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FleetLab } from '../../test/lab/fleet/fleet-lab.ts'
import { writesDuring } from '../../test/lab/fleet/netlink-witness.ts'
import { figure, type Figure } from '../figure.ts'
import { members, SMALL_POOL } from '../intent.ts'
import type { Outside } from '../outside.ts'
import { mbOf } from '../proc.ts'
import type { Row } from '../row.ts'
import { SIZES, sizeName, type Size } from '../size.ts'
import { withStandingAgent, type StandingAgent } from '../standing-agent.ts'

const IDLE_MS = 30_000
const CHANGES = 50
const WITNESSED_CHANGES = 3
const CHANGE_CPU_TARGET_MS = 5
const RSS_TARGET_MB: Readonly<Record<Size, number>> = { 1_000: 90, 10_000: 140 }

export const agentRow: Row = {
  name: 'agent',
  summary: 'a running agent: memory, CPU while idle, CPU and kernel messages of a weight change',
  inGuest: true,
  measure,
}

async function measure(outside: Outside): Promise<readonly Figure[]> {
  const fleet = await outside.fleet()
  const figures: Figure[] = []
  for (const size of SIZES) {
    for (const place of ['native', 'guest'] as const) {
      outside.log(`an agent with ${sizeName(size)}, ${place}`)
      figures.push(
        ...(await withStandingAgent(fleet, place, size, IDLE_MS, async (agent) => [
          ...(place === 'guest' ? [await memoryOf(agent, size), idleOf(agent, size)] : []),
          await changeCpuOf(fleet, agent, place, size),
          ...(await messagesOf(fleet, agent, size)),
        ])),
      )
    }
  }
  return figures
}

async function memoryOf(agent: StandingAgent, size: Size): Promise<Figure> {
  const status = await agent.read('status')
  const rss = mbOf(status, 'VmRSS')
  const peak = mbOf(status, 'VmHWM')
  const target = RSS_TARGET_MB[size]
  return figure(`agent memory, ${sizeName(size)}, idle`, `${rss.toFixed(0)} MB`, {
    beside: `peak ${peak.toFixed(0)} MB`,
    target: `< ${target} MB`,
    met: rss < target,
    numbers: { rssMb: rss, peakMb: peak },
  })
}

/** In the guest alone: natively there is no kernel to look at. */
function idleOf(agent: StandingAgent, size: Size): Figure {
  const perMinute = agent.idleCpuMsPerSecond * 60
  return figure(
    `agent CPU, nothing changes, ${sizeName(size)}, ${placeName('guest')}`,
    `${perMinute.toFixed(0)} ms a minute`,
    {
      beside: `${(agent.idleCpuMsPerSecond / 10).toFixed(2)} % of a core`,
      numbers: { cpuMsPerMinute: perMinute },
    },
  )
}

async function changeCpuOf(
  fleet: FleetLab,
  agent: StandingAgent,
  place: string,
  size: Size,
): Promise<Figure> {
  await changeWeights(fleet, agent, 5)
  const started = performance.now()
  const before = await agent.cpuMs()
  await changeWeights(fleet, agent, CHANGES)
  const seconds = (performance.now() - started) / 1_000
  const cpuMs = (await agent.cpuMs()) - before - seconds * agent.idleCpuMsPerSecond
  const each = Math.max(0, cpuMs) / CHANGES
  return figure(
    `agent CPU of one weight change on ${sizeName(size)}, ${placeName(place)}`,
    `${each.toFixed(1)} ms`,
    {
      target: place === 'native' ? `< ${CHANGE_CPU_TARGET_MS} ms` : '',
      met: place === 'native' ? each < CHANGE_CPU_TARGET_MS : null,
      numbers: { cpuMsPerChange: each },
    },
  )
}

/** Natively there is nothing that a witness could see. */
async function messagesOf(fleet: FleetLab, agent: StandingAgent, size: Size): Promise<Figure[]> {
  if (agent.host === undefined) return []
  const writes = await writesDuring(fleet.lab, agent.host, () =>
    changeWeights(fleet, agent, WITNESSED_CHANGES),
  )
  const each = writes.length / WITNESSED_CHANGES
  return [
    figure(`kernel messages of one weight change on ${sizeName(size)}`, String(each), {
      target: '1',
      met: each === 1,
      numbers: { messagesPerChange: each },
    }),
  ]
}

let weight = 100

async function changeWeights(fleet: FleetLab, agent: StandingAgent, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    weight = weight === 100 ? 50 : 100
    const body = { members: members(weight) }
    await fleet.controller.call('PATCH', `/v1/pools/${SMALL_POOL}?force=true`, body)
    await fleet.converged([agent.name])
    await sleep(20)
  }
}

function placeName(place: string): string {
  return place === 'guest' ? 'emulated CPU' : 'native'
}
