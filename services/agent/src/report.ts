/** What the control plane and `status` hear: one snapshot of this agent, cut to what a report may carry. */
import {
  HELD_TEXT_MAX,
  REPORT_LIST_MAX,
  type Capabilities,
  type DoctorSummary,
  type Drain,
  type DrainProgress,
  type HealthReport,
  type PathReport,
  type Rejection,
  type StatusReport,
  type WeightChanges,
} from '@lvs-fleet/contract'
import { drainProgress } from './drain-progress.ts'
import type { World } from './reconcile/world.ts'
import type { Version } from './state/candidate.ts'
import type { Explained } from './weigh/weighing.ts'

export type HostFacts = {
  readonly bootId: string
  readonly kernelVersion: string
  readonly agentVersion: string
  /** Filled in when they were found; see doctor/host-rounds.ts and path-mtu/path-rounds.ts. */
  capabilities?: Capabilities
  doctor?: DoctorSummary
  /** Asked whenever a snapshot is taken; absent where nothing checks. */
  health?: () => HealthReport | null
  paths?: PathReport | null
}

/** A report without its number, which is given when it is sent. */
export type Snapshot = Omit<StatusReport, 'seq'>

export function takeSnapshot(
  world: World,
  facts: HostFacts,
  state: {
    readonly applied: Version | null
    readonly rejected: Rejection | null
    readonly held: string | null
    readonly weighed: Explained
    readonly weightChanges: WeightChanges | null
  },
): Snapshot {
  const failedOps = world.troubles.failedOps
  const drains = listDrains(world)
  return {
    bootId: facts.bootId.slice(0, 64),
    agentVersion: facts.agentVersion.slice(0, 40),
    kernelVersion: facts.kernelVersion.slice(0, 120),
    source: world.inForce.source,
    applied: state.applied,
    rejected: state.rejected,
    held: state.held === null ? null : state.held.slice(0, HELD_TEXT_MAX),
    counts: { services: world.inForce.serviceCount, destinations: world.inForce.destinationCount },
    failedOps: failedOps.slice(0, REPORT_LIST_MAX),
    failedOpCount: failedOps.length,
    drift: [...world.repairs.list],
    driftCount: world.repairs.count,
    drains: drains.list,
    drainCount: drains.count,
    drainProgress: progressOf(world).slice(0, REPORT_LIST_MAX),
    weights: state.weighed.list,
    weightCount: state.weighed.count,
    weightChanges: state.weightChanges,
    capabilities: facts.capabilities ?? null,
    doctor: facts.doctor ?? null,
    health: facts.health?.() ?? null,
    paths: facts.paths ?? null,
  }
}

/** Equal for two snapshots that say the same; seconds and connections of a running drain and the last words of a probe say nothing new. */
export function fingerprintOf(snapshot: Snapshot): string {
  const drains = snapshot.drains.map(({ service, destination }) => `${service} ${destination}`)
  const progress = snapshot.drainProgress.map(({ name, destinations, drained, idle }) =>
    [name, destinations, drained, idle].join(' '),
  )
  const health =
    snapshot.health === null ? null : { ...snapshot.health, checks: verdictsOf(snapshot) }
  // Of changes their number is enough: those that were told are listed no more.
  const weightChanges = snapshot.weightChanges?.count ?? 0
  return JSON.stringify({ ...snapshot, drains, drainProgress: progress, health, weightChanges })
}

/** Why a check cannot run is news; what the last of many probes said is not. */
function verdictsOf({ health }: Snapshot): string[] {
  return (health?.checks ?? []).map(({ key, state, class: broken, since, detail }) =>
    [key, state, broken, since, state === 'unknown' ? detail : ''].join(' '),
  )
}

function progressOf(world: World): DrainProgress[] {
  const { drainLooks, book, clock } = world
  if (drainLooks.size === 0) return []
  const times = { nowMs: clock.monotonicMs(), wallMs: clock.wallMs() }
  return drainProgress(drainLooks, { deadlines: book.ledger.drains, ...times })
}

function listDrains(world: World): { list: Drain[]; count: number } {
  const now = world.clock.monotonicMs()
  const list: Drain[] = []
  let count = 0
  for (const [service, deadlines] of world.book.ledger.drains) {
    count += deadlines.size
    for (const [destination, deadline] of deadlines) {
      if (list.length >= REPORT_LIST_MAX) break
      const name = world.drainLooks.get(service)?.get(destination)?.drain.name
      list.push({
        service,
        destination,
        remainingSeconds: Math.max(0, Math.ceil((deadline - now) / 1_000)),
        connections: world.drainConnections.get(`${service} > ${destination}`) ?? 0,
        ...(name === undefined ? {} : { drain: name }),
      })
    }
  }
  return { list, count }
}
