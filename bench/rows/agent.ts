/**
 * What a running agent costs on the lab's kernel, from one start of it for each size: memory after half a minute of idleness,
 * CPU while nothing changes, and kernel messages of one weight change on the full table.
 */
import type { FleetLab } from '../../test/lab/fleet/fleet-lab.ts'
import { writesDuring } from '../../test/lab/fleet/netlink-witness.ts'
import { figure, type Figure } from '../figure.ts'
import type { Outside } from '../outside.ts'
import { mbOf } from '../proc.ts'
import type { Row } from '../row.ts'
import { SIZES, sizeName, type Size } from '../size.ts'
import { withAgentInGuest, type StandingAgent } from '../standing-agent.ts'
import { weightChanges } from '../weight-changes.ts'

const IDLE_MS = 30_000
const WITNESSED_CHANGES = 3
const RSS_TARGET_MB: Readonly<Record<Size, number>> = { 1_000: 90, 10_000: 140 }

export const agentRow: Row = {
  name: 'agent',
  summary: 'a running agent: memory, CPU while idle, kernel messages of a weight change',
  inGuest: true,
  measure,
}

async function measure(outside: Outside): Promise<readonly Figure[]> {
  const fleet = await outside.fleet()
  const figures: Figure[] = []
  for (const size of SIZES) {
    outside.log(`an agent with ${sizeName(size)}`)
    const ofSize = await withAgentInGuest(fleet, size, IDLE_MS, async (agent) => [
      await memoryOf(agent, size),
      idleOf(agent, size),
      await messagesOf(fleet, agent, size),
    ])
    figures.push(...ofSize)
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

function idleOf(agent: StandingAgent, size: Size): Figure {
  const perMinute = agent.idleCpuMsPerSecond * 60
  return figure(
    `agent CPU, nothing changes, ${sizeName(size)}, emulated CPU`,
    `${perMinute.toFixed(0)} ms a minute`,
    {
      beside: `${(agent.idleCpuMsPerSecond / 10).toFixed(2)} % of a core`,
      numbers: { cpuMsPerMinute: perMinute },
    },
  )
}

async function messagesOf(
  { lab, controller }: FleetLab,
  { host, name }: { readonly host: string; readonly name: string },
  size: Size,
): Promise<Figure> {
  const change = weightChanges(controller, name)
  const writes = await writesDuring(lab, host, () => change(WITNESSED_CHANGES))
  const each = writes.length / WITNESSED_CHANGES
  return figure(`kernel messages of one weight change on ${sizeName(size)}`, String(each), {
    target: '1',
    met: each === 1,
    numbers: { messagesPerChange: each },
  })
}
