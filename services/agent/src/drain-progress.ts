/** What operators drain here and what is left of it, by the name of the drain. Takes looks and deadlines; pure. */
import type { DrainProgress } from '@lvs-fleet/contract'
import type { Ledger } from './ledger/ledger.ts'
import type { DrainLook, DrainLooks } from './plan/drain-look.ts'

export type DrainTimes = {
  readonly deadlines: Ledger['drains']
  /** Boot clock. */
  readonly nowMs: number
  readonly wallMs: number
}

/** Sorted by name. */
export function drainProgress(
  looks: ReadonlyMap<string, DrainLooks>,
  times: DrainTimes,
): DrainProgress[] {
  const byName = new Map<string, DrainProgress>()
  for (const [service, ends] of looks) {
    const deadlines = times.deadlines.get(service)
    for (const [end, look] of ends) {
      const { name } = look.drain
      byName.set(name, added(byName.get(name), look, remainingMs(look, deadlines?.get(end), times)))
    }
  }
  return [...byName.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function added(sum: DrainProgress | undefined, look: DrainLook, leftMs: number): DrainProgress {
  return {
    name: look.drain.name,
    destinations: (sum?.destinations ?? 0) + 1,
    drained: (sum?.drained ?? 0) + Number(look.isGone),
    idle: (sum?.idle ?? 0) + Number(look.idleSinceMs !== null),
    activeConnections: (sum?.activeConnections ?? 0) + look.activeConnections,
    inactiveConnections: (sum?.inactiveConnections ?? 0) + look.inactiveConnections,
    persistentConnections: (sum?.persistentConnections ?? 0) + look.persistentConnections,
    remainingSeconds: Math.max(sum?.remainingSeconds ?? 0, Math.ceil(leftMs / 1_000)),
  }
}

function remainingMs(
  { drain, isGone }: DrainLook,
  deadline: number | undefined,
  { nowMs, wallMs }: DrainTimes,
): number {
  if (isGone) return 0
  return Math.max(0, deadline === undefined ? drain.deadline - wallMs : deadline - nowMs)
}
