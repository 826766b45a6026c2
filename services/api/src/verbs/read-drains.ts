/** Drains with what is left of them: the intent, the published states and the newest report of each director. */
import { hostKey } from '../compile/compile.ts'
import { ApiError } from '../errors.ts'
import { drainTarget } from '../intent/drain-rules.ts'
import type { DrainSpec } from '../intent/kinds.ts'
import { STALE_AFTER_SECONDS } from '../status/conditions.ts'
import { drainView, type DrainObserver, type DrainView } from '../status/drains.ts'
import { loadReports, type ReceivedReport } from '../store/host-store.ts'
import type { Deps } from './deps.ts'
import { objectKey } from './live-fleet.ts'

export type DrainStatus = DrainView & {
  readonly name: string
  /** `real server rs-b1`, `site b`. */
  readonly target: string
  readonly reason: string
  readonly owner: string
  readonly since: Date
  readonly deadline: string
}

export async function readDrains(deps: Deps): Promise<DrainStatus[]> {
  const { drains } = deps.live.snapshot.fleet
  if (drains.length === 0) return []
  const reports = await loadReports(deps.database.db)
  const counts = countDestinations(deps)
  return drains.map((drain) => statusOf(deps, drain, counts.get(drain.name), reports))
}

export async function readDrain(deps: Deps, name: string): Promise<DrainStatus> {
  const found = (await readDrains(deps)).find((one) => one.name === name)
  if (found === undefined) throw new ApiError('not-found', `there is no drain named ${name}`)
  return found
}

/** Drain → director → destinations of its published state that it concerns. */
type Counts = Map<string, Map<string, number>>

function countDestinations(deps: Deps): Counts {
  const counts: Counts = new Map()
  for (const { role, name, state } of deps.live.compiled().hosts.values()) {
    if (role !== 'director') continue
    for (const { drain } of state.services.flatMap(({ destinations }) => destinations)) {
      if (drain === undefined) continue
      const directors = counts.get(drain.name) ?? new Map<string, number>()
      counts.set(drain.name, directors.set(name, (directors.get(name) ?? 0) + 1))
    }
  }
  return counts
}

function statusOf(
  deps: Deps,
  drain: DrainSpec,
  counts: ReadonlyMap<string, number> | undefined,
  reports: ReadonlyMap<string, ReceivedReport>,
): DrainStatus {
  const { name, reason, owner, deadline } = drain
  const object = deps.live.snapshot.objects.get(objectKey('drain', name))
  const observers = [...(counts ?? [])]
    .map(([director, destinations]) => observerOf(deps, director, destinations, reports))
    .toSorted((a, b) => (a.director < b.director ? -1 : 1))
  return {
    name,
    target: drainTarget(drain),
    reason,
    owner: owner ?? '',
    since: object?.createdAt ?? deps.now(),
    deadline,
    ...drainView(name, observers),
  }
}

function observerOf(
  deps: Deps,
  director: string,
  destinations: number,
  reports: ReadonlyMap<string, ReceivedReport>,
): DrainObserver {
  const key = hostKey('director', director)
  const received = reports.get(key)
  const published = deps.live.snapshot.states.get(key)
  const ageMs =
    received === undefined ? Infinity : deps.now().getTime() - received.receivedAt.getTime()
  const report = ageMs > STALE_AFTER_SECONDS * 1_000 ? null : (received?.report ?? null)
  const isCurrent =
    report?.applied?.epoch === published?.epoch &&
    report?.applied?.generation === published?.generation
  return { director, destinations, report, isCurrent }
}
