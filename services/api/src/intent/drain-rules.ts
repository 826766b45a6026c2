/** Rules of drains that their schema cannot see: one target that exists, how long, whose they are. Pure. */
import type { Fleet } from './fleet.ts'
import type { DrainSpec } from './kinds.ts'
import { problem, type Problem } from './problem.ts'

/** What is to stay out for longer leaves the pool, or is disabled. */
const DRAIN_DAYS_MAX = 30

type Names = Readonly<Record<'sites' | 'directors' | 'realServers' | 'pools', ReadonlySet<string>>>

const TARGETS = ['realServer', 'site', 'director'] as const

/** The fleet with `actor` as the owner of drains that name none. */
export function signDrains(fleet: Fleet, actor: string): Fleet {
  if (fleet.drains.every(({ owner }) => owner !== null)) return fleet
  const drains = fleet.drains.map((one) => ({ ...one, owner: one.owner ?? actor.slice(0, 100) }))
  return { ...fleet, drains }
}

/** Those of a fleet that still concern something of another one. */
export function remainingDrains(
  drains: readonly DrainSpec[],
  fleet: Omit<Fleet, 'drains' | 'overrides'>,
): readonly DrainSpec[] {
  const names = {
    sites: namesOf(fleet.sites),
    directors: namesOf(fleet.directors),
    realServers: namesOf(fleet.realServers),
    pools: namesOf(fleet.pools),
  }
  return drains.filter((drain) => unknownNames(drain, names).length === 0)
}

/** Rules that need no clock. */
export function drainProblems({ drains }: Pick<Fleet, 'drains'>, names: Names): Problem[] {
  return drains.flatMap((drain) => [...targetProblems(drain), ...unknownNames(drain, names)])
}

/** Of drains that are written now; those that stand may be past their deadline. */
export function deadlineProblems(written: readonly DrainSpec[], now: Date): Problem[] {
  const latest = now.getTime() + DRAIN_DAYS_MAX * 86_400_000
  return written.flatMap(({ name, deadline }) => {
    const at = { kind: 'drain', name, path: ['deadline'] } as const
    const time = Date.parse(deadline)
    if (time <= now.getTime()) return [problem(at, 'drain-deadline', `${deadline} is over`)]
    if (time <= latest) return []
    const text = `${deadline} is more than ${DRAIN_DAYS_MAX} days ahead`
    return [problem(at, 'drain-deadline', text)]
  })
}

/** `real server rs-a1 of pool web`, `site b`: what a drain concerns. */
export function drainTarget({ realServer, pool, site, director }: DrainSpec): string {
  if (site !== null) return `site ${site}`
  if (director !== null) return `director ${director}`
  return `real server ${realServer ?? ''}${pool === null ? '' : ` of pool ${pool}`}`
}

function targetProblems(drain: DrainSpec): Problem[] {
  const { name, pool, realServer } = drain
  const named = TARGETS.filter((target) => drain[target] !== null)
  if (named.length !== 1) {
    const at = { kind: 'drain', name, path: [named[1] ?? 'realServer'] } as const
    const text = `a drain concerns exactly one of ${TARGETS.join(', ')}: this names ${named.length}`
    return [problem(at, 'drain-target', text)]
  }
  if (pool === null || realServer !== null) return []
  const at = { kind: 'drain', name, path: ['pool'] } as const
  return [problem(at, 'drain-target', 'says nothing without a realServer')]
}

function unknownNames(drain: DrainSpec, names: Names): Problem[] {
  const { name, realServer, pool, site, director } = drain
  const named = [
    ['realServer', 'real server', realServer, names.realServers],
    ['pool', 'pool', pool, names.pools],
    ['site', 'site', site, names.sites],
    ['director', 'director', director, names.directors],
  ] as const
  return named.flatMap(([field, what, value, known]) => {
    if (value === null || known.has(value)) return []
    const at = { kind: 'drain', name, path: [field] } as const
    return [problem(at, 'unknown-name', `there is no ${what} named ${value}`)]
  })
}

function namesOf(list: readonly { readonly name: string }[]): ReadonlySet<string> {
  return new Set(list.map(({ name }) => name))
}
