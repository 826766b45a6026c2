/** Verdict: what was known of a check and what its probes said now → what is known, and the event that it makes. Pure. */
import {
  HEALTH_EVENTS_MAX,
  HEALTH_LIST_MAX,
  type CheckHealth,
  type CheckState,
  type HealthEvent,
  type HealthReport,
  type HealthVerdict,
} from '@lvs-fleet/contract'
import { classify } from './classify.ts'
import { beginJudging, judge, recallDown, type Judged } from './judge.ts'
import type { ProbeResult } from './probe.ts'

export type Known = { readonly judged: Judged; readonly health: CheckHealth }

export type Answers = {
  readonly result: ProbeResult
  /** Of the second probe, to the real server's own address; undefined = there was none, or none was needed. */
  readonly direct: ProbeResult | undefined
}

export type Moment = { readonly monotonicMs: number; readonly at: string }

/** A check that begins, with what an earlier life of the agent knew of it. */
export function begin(
  check: CheckState,
  recalled: CheckHealth | undefined,
  nowMs: number,
  at: string,
): Known {
  if (recalled?.state === 'down') return { judged: recallDown(nowMs, check), health: recalled }
  return { judged: beginJudging(nowMs), health: beginHealth(check, at) }
}

function beginHealth(check: CheckState, since: string): CheckHealth {
  const { probe } = check
  return {
    key: check.key,
    kind: probe.kind === 'http' && probe.tls !== null ? 'https' : probe.kind,
    realServer: check.realServer,
    address: check.address,
    port: check.port,
    state: 'unknown',
    class: null,
    since,
    detail: 'not asked yet',
    latencyMs: null,
  }
}

/** A probe that could not run changes what is said, not what is known. */
export function takeAnswers(
  { judged: before, health: known }: Known,
  { result, direct }: Answers,
  check: CheckState,
  { monotonicMs, at }: Moment,
): Known & { readonly event: HealthEvent | null } {
  const { detail } = result
  if (result.is === 'cannot-run') {
    return { judged: before, health: { ...known, detail }, event: null }
  }
  const judged = judge(before, result.is === 'good', monotonicMs, check)
  const { state } = judged
  const broken = result.is === 'bad' ? classify(result.failure, direct) : known.class
  const health: CheckHealth = {
    ...known,
    state,
    class: state === 'down' ? broken : null,
    since: state === before.state ? known.since : at,
    detail,
    latencyMs: result.is === 'good' ? Math.round(result.latencyMs * 10) / 10 : known.latencyMs,
  }
  return { judged, health, event: eventOf(known, health, at) }
}

/** What is unknown counts as up: that it is up is no change. */
function eventOf(before: CheckHealth, after: CheckHealth, at: string): HealthEvent | null {
  if (before.state === after.state && before.class === after.class) return null
  if (before.state === 'unknown' && after.state === 'up') return null
  const { key, kind, realServer, address, port, state: to, class: broken, detail: cause } = after
  return { key, kind, realServer, address, port, at, from: before.state, to, class: broken, cause }
}

/** As much as a report may carry: what is not up, worst first, then what is; the newest events. */
export function healthReport(
  results: ReadonlyMap<string, CheckHealth>,
  events: readonly HealthEvent[],
): HealthReport | null {
  if (results.size === 0 && events.length === 0) return null
  const counts = { up: 0, down: 0, held: 0, unknown: 0 }
  const troubles: CheckHealth[] = []
  const rest: CheckHealth[] = []
  for (const health of results.values()) {
    counts[health.state]++
    if (health.state !== 'up') troubles.push(health)
    else if (rest.length < HEALTH_LIST_MAX) rest.push(health)
  }
  const checks = [...troubles.toSorted(worstFirst), ...rest].slice(0, HEALTH_LIST_MAX)
  return { counts, checks, events: events.slice(-HEALTH_EVENTS_MAX) }
}

const ORDER: Readonly<Record<HealthVerdict, number>> = { down: 0, held: 1, unknown: 2, up: 3 }

function worstFirst(a: CheckHealth, b: CheckHealth): number {
  return ORDER[a.state] - ORDER[b.state] || (nameOf(a) < nameOf(b) ? -1 : 1)
}

function nameOf({ realServer, port, key }: CheckHealth): string {
  return `${realServer} ${port} ${key}`
}
