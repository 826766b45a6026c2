/**
 * Votes of directors on the real servers of pools with a quorum rule → verdicts to make, to renew and to end. Pure. Slow
 * on purpose: a verdict needs the same count twice in a row, its end three times, and what nobody can count any more is
 * neither renewed nor ended, so that it runs out by itself.
 */
import { fnv1a32, type CheckHealth, type HealthReport, type HostState } from '@lvs-fleet/contract'
import type { OverrideSpec, PoolSpec, VirtualServiceSpec } from '../intent/kinds.ts'
import { QUORUM_ACTOR, type Quorum } from '../intent/quorum.ts'
import { listsAllTroubles } from './health.ts'

/** How long a verdict lasts when nobody renews it, and how much of that must be left. Each renewal is a new generation. */
const VERDICT_MS = 10 * 60_000
const RENEW_BELOW_MS = 4 * 60_000
const ROUNDS_TO_MAKE = 2
const ROUNDS_TO_END = 3
/** Agents report once a minute while something is down: whoever says so and is silent for longer has no vote. */
export const DOWN_VOTE_SECONDS = 150
/** Changes of one round; the others wait for the next. */
const CHANGES_MAX = 100

export type Voter = {
  readonly director: string
  readonly services: HostState['services']
  /** Null where it is missing or too old: no vote. */
  readonly report: HealthReport | null
  /** Not older than `DOWN_VOTE_SECONDS`. */
  readonly isRecent: boolean
}

/** What directors say of one real server of one pool. */
export type Count = {
  readonly pool: string
  readonly realServer: string
  readonly quorum: Quorum
  /** Names of directors. */
  readonly down: readonly string[]
  readonly notDown: readonly string[]
}

/** By verdict's name: how many rounds in a row would change it. */
export type Streaks = ReadonlyMap<string, number>

export type QuorumDecision = {
  readonly put: readonly OverrideSpec[]
  /** Names. */
  readonly remove: readonly string[]
  readonly streaks: Streaks
}

export function countVotes(
  pools: readonly PoolSpec[],
  virtualServices: readonly VirtualServiceSpec[],
  voters: readonly Voter[],
): Count[] {
  const rules = new Map(
    pools.flatMap(({ name, quorum }) => (quorum === null ? [] : [[name, quorum]])),
  )
  if (rules.size === 0) return []
  const poolOf = new Map(virtualServices.map(({ name, pool }) => [name, pool]))
  const counts = new Map<string, Count & { down: string[]; notDown: string[] }>()
  for (const { director, services, report, isRecent } of voters) {
    if (report === null) continue
    for (const [key, vote] of votesOf(services, report, poolOf)) {
      const { pool, realServer, isDown } = vote
      const quorum = rules.get(pool)
      if (quorum === undefined) continue
      const count = counts.get(key) ?? { pool, realServer, quorum, down: [], notDown: [] }
      counts.set(key, count)
      if (isDown && isRecent) count.down.push(director)
      else if (!isDown) count.notDown.push(director)
    }
  }
  return [...counts.values()]
}

type Vote = { readonly pool: string; readonly realServer: string; readonly isDown: boolean }

/** One director's: down where every virtual service of the pool finds it so; none where a check has no verdict. */
function votesOf(
  services: HostState['services'],
  report: HealthReport,
  poolOf: ReadonlyMap<string, string>,
): ReadonlyMap<string, Vote> {
  const said = new Map(report.checks.map((check) => [check.key, check]))
  const missingAreUp = listsAllTroubles(report)
  const votes = new Map<string, Vote>()
  for (const { name, destinations } of services) {
    const pool = poolOf.get(name)
    if (pool === undefined) continue
    for (const { realServer, checks = [] } of destinations) {
      const answers = checks.map((key) => opinion(said.get(key), missingAreUp))
      if (answers.length === 0 || answers.includes('none')) continue
      const key = `${pool} ${realServer}`
      const isDown = answers.includes('down') && votes.get(key)?.isDown !== false
      votes.set(key, { pool, realServer, isDown })
    }
  }
  return votes
}

/** A broken way is no dead server: it answered at its own address. */
function opinion(check: CheckHealth | undefined, missingIsUp: boolean): 'down' | 'up' | 'none' {
  if (check === undefined) return missingIsUp ? 'up' : 'none'
  if (check.state === 'unknown') return 'none'
  return check.state === 'down' && check.class !== 'path-down' ? 'down' : 'up'
}

export function decideQuorum(
  counts: readonly Count[],
  standing: readonly OverrideSpec[],
  {
    streaks,
    rules,
    now,
  }: {
    readonly streaks: Streaks
    /** Pools that have a rule. */
    readonly rules: ReadonlySet<string>
    readonly now: Date
  },
): QuorumDecision {
  const nowMs = now.getTime()
  const verdicts = new Map(
    standing.filter(({ kind }) => kind === 'quorum').map((one) => [one.name, one]),
  )
  const put: OverrideSpec[] = []
  const remove: string[] = []
  const next = new Map<string, number>()
  for (const count of counts) {
    const name = verdictName(count)
    const verdict = verdicts.get(name)
    verdicts.delete(name)
    const isDown = isDownByQuorum(count)
    // Too few to say anything: what stands runs out.
    if (isDown === undefined) continue
    if (verdict !== undefined && isDown) {
      const leftMs = Date.parse(verdict.expiresAt) - nowMs
      if (leftMs < RENEW_BELOW_MS) put.push(verdictOf(name, count, nowMs))
      continue
    }
    if ((verdict !== undefined) === isDown) continue
    const rounds = (streaks.get(name) ?? 0) + 1
    if (rounds < (isDown ? ROUNDS_TO_MAKE : ROUNDS_TO_END)) next.set(name, rounds)
    else if (isDown) put.push(verdictOf(name, count, nowMs))
    else remove.push(name)
  }
  // Nobody counts these any more: the rule, the check or the member is gone, or all who looked are silent.
  for (const [name, { expiresAt, pool }] of verdicts) {
    if (Date.parse(expiresAt) <= nowMs || !rules.has(pool ?? '')) remove.push(name)
  }
  return { put: put.slice(0, CHANGES_MAX), remove: remove.slice(0, CHANGES_MAX), streaks: next }
}

/** Undefined = too few directors. */
function isDownByQuorum({ quorum, down, notDown }: Count): boolean | undefined {
  const all = down.length + notDown.length
  if (all < quorum.directorsMin) return undefined
  return down.length * 100 >= quorum.downPercent * all
}

function verdictOf(name: string, count: Count, nowMs: number): OverrideSpec {
  const { pool, realServer, down, notDown } = count
  const who = down.toSorted().join(', ')
  return {
    name,
    realServer,
    pool,
    kind: 'quorum',
    weight: null,
    reason: `down for ${down.length} of ${down.length + notDown.length} directors: ${who}`.slice(
      0,
      100,
    ),
    owner: QUORUM_ACTOR,
    expiresAt: new Date(nowMs + VERDICT_MS).toISOString(),
  }
}

/** The same for one member, whatever else changes; two long names that begin alike are told apart. */
function verdictName({ pool, realServer }: Pick<Count, 'pool' | 'realServer'>): string {
  const name = `quorum-${realServer}-in-${pool}`
  if (name.length <= 63) return name
  const hash = fnv1a32(`${pool} ${realServer}`).toString(16).padStart(8, '0')
  return `quorum-${realServer.slice(0, 40).replace(/-+$/, '')}-${hash}`
}
