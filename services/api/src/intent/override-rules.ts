/** Rules of overrides that their schema cannot see: names that must exist, how many, how long, and whose they are. Pure. */
import { OVERRIDES_MAX } from '@lvs-fleet/contract'
import type { Fleet } from './fleet.ts'
import type { OverrideSpec } from './kinds.ts'
import { problem, type Problem } from './problem.ts'
import { QUORUM_ACTOR } from './quorum.ts'

/** An override is for an incident; what lasts longer belongs into the intent itself. */
const OVERRIDE_DAYS_MAX = 30

/** The fleet with `actor` as the owner of overrides that name none. */
export function signOverrides(fleet: Fleet, actor: string): Fleet {
  if (fleet.overrides.every(({ owner }) => owner !== null)) return fleet
  const overrides = fleet.overrides.map((one) => ({
    ...one,
    owner: one.owner ?? actor.slice(0, 100),
  }))
  return { ...fleet, overrides }
}

/** Those of a fleet that still concern something of another one: an override leaves with its real server or pool. */
export function remainingOverrides(
  overrides: readonly OverrideSpec[],
  { realServers, pools }: Pick<Fleet, 'realServers' | 'pools'>,
): readonly OverrideSpec[] {
  const servers = new Set(realServers.map(({ name }) => name))
  const names = new Set(pools.map(({ name }) => name))
  return overrides.filter(
    ({ realServer, pool }) => servers.has(realServer) && (pool === null || names.has(pool)),
  )
}

/** Rules that need no clock. */
export function overrideProblems(
  fleet: Pick<Fleet, 'overrides'>,
  names: { readonly realServers: ReadonlySet<string>; readonly pools: ReadonlySet<string> },
): Problem[] {
  const problems: Problem[] = []
  const counts = new Map<string, number>()
  for (const { name, realServer, pool, kind, weight } of fleet.overrides) {
    const at = { kind: 'override', name } as const
    if (!names.realServers.has(realServer)) {
      const text = `there is no real server named ${realServer}`
      problems.push(problem({ ...at, path: ['realServer'] }, 'unknown-name', text))
    }
    if (pool !== null && !names.pools.has(pool)) {
      const text = `there is no pool named ${pool}`
      problems.push(problem({ ...at, path: ['pool'] }, 'unknown-name', text))
    }
    if ((kind === 'weight') !== (weight !== null)) {
      const text =
        kind === 'weight' ? 'is missing: kind is weight' : `says nothing where kind is ${kind}`
      problems.push(problem({ ...at, path: ['weight'] }, 'override-weight', text))
    }
    if (kind === 'quorum') continue
    const count = (counts.get(realServer) ?? 0) + 1
    counts.set(realServer, count)
    if (count > OVERRIDES_MAX) {
      const text = `${realServer} has ${OVERRIDES_MAX} overrides already: delete those that have expired`
      problems.push(problem({ ...at, path: ['realServer'] }, 'override-count', text))
    }
  }
  return problems
}

/** Verdicts are made by counting, not by hand. */
export function verdictProblems(written: readonly OverrideSpec[], actor: string): Problem[] {
  if (actor === QUORUM_ACTOR) return []
  return written.flatMap(({ name, kind }) => {
    if (kind !== 'quorum') return []
    const at = { kind: 'override', name, path: ['kind'] } as const
    return [problem(at, 'override-kind', 'is made by the quorum rule of a pool: use down instead')]
  })
}

/** Of overrides that are written now; those that stand expire without being wrong. */
export function expiryProblems(written: readonly OverrideSpec[], now: Date): Problem[] {
  const latest = now.getTime() + OVERRIDE_DAYS_MAX * 86_400_000
  return written.flatMap(({ name, expiresAt }) => {
    const at = { kind: 'override', name, path: ['expiresAt'] } as const
    const time = Date.parse(expiresAt)
    if (time <= now.getTime()) return [problem(at, 'override-expiry', `${expiresAt} is over`)]
    if (time <= latest) return []
    const text = `${expiresAt} is more than ${OVERRIDE_DAYS_MAX} days ahead: what lasts belongs into the pool`
    return [problem(at, 'override-expiry', text)]
  })
}
