/** What the control plane and `status` hear: one snapshot of this agent, cut to what a report may carry. */
import {
  HELD_TEXT_MAX,
  REPORT_LIST_MAX,
  type Capabilities,
  type DoctorSummary,
  type Drain,
  type PathReport,
  type Rejection,
  type StatusReport,
} from '@lvs-fleet/contract'
import type { World } from './reconcile/world.ts'
import type { Version } from './state/candidate.ts'

export type HostFacts = {
  readonly bootId: string
  readonly kernelVersion: string
  readonly agentVersion: string
  /** Filled in when they were found; see doctor/host-rounds.ts and path-mtu/path-rounds.ts. */
  capabilities?: Capabilities
  doctor?: DoctorSummary
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
    capabilities: facts.capabilities ?? null,
    doctor: facts.doctor ?? null,
    paths: facts.paths ?? null,
  }
}

/** Equal for two snapshots that say the same; the seconds of a running drain say nothing new. */
export function fingerprintOf(snapshot: Snapshot): string {
  const drains = snapshot.drains.map(({ service, destination }) => `${service} ${destination}`)
  return JSON.stringify({ ...snapshot, drains })
}

function listDrains(world: World): { list: Drain[]; count: number } {
  const now = world.clock.monotonicMs()
  const list: Drain[] = []
  let count = 0
  for (const [service, deadlines] of world.book.ledger.drains) {
    count += deadlines.size
    for (const [destination, deadline] of deadlines) {
      if (list.length >= REPORT_LIST_MAX) break
      list.push({
        service,
        destination,
        remainingSeconds: Math.max(0, Math.ceil((deadline - now) / 1_000)),
        connections: world.drainConnections.get(`${service} > ${destination}`) ?? 0,
      })
    }
  }
  return { list, count }
}
