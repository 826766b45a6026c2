/**
 * Health: two reports → what changed for each check. Agents carry their last changes in each report, so that a flap
 * between two reports is told as well; where that list was too short, the states themselves are held against each other.
 */
import {
  HEALTH_LIST_MAX,
  type CheckRef,
  type HealthEvent,
  type HealthReport,
  type HealthVerdict,
} from '@lvs-fleet/contract'
import type { EventSeverity, NewEvent } from '../event.ts'
import { hostEvent, momentOf, type Seen } from './seen.ts'

const NOTHING: HealthReport = {
  counts: { up: 0, down: 0, held: 0, unknown: 0 },
  checks: [],
  events: [],
}

type Change = CheckRef & Pick<HealthEvent, 'at' | 'from' | 'to' | 'class' | 'cause'>

export function healthEvents(seen: Seen): NewEvent[] {
  const before = seen.before?.health ?? NOTHING
  const now = seen.now.health ?? NOTHING
  const told = new Set(before.events.map(nameOf))
  const changes: Change[] = now.events.filter((event) => !told.has(nameOf(event)))
  const states = new Map(before.checks.map((check) => [check.key, check.state]))
  for (const { key, to } of changes) states.set(key, to)
  for (const check of now.checks) {
    const from = states.get(check.key) ?? 'unknown'
    if (!isNews(from, check.state)) continue
    const { state: to, since, detail } = check
    changes.push({ ...check, at: since, from, to, cause: detail })
  }
  return [...changes, ...goneFrom(before, now, states, seen.at)].map((change) =>
    eventOf(change, seen),
  )
}

/** What was bad and is listed no more is up among many that are up, or is not asked any more. */
function goneFrom(
  before: HealthReport,
  now: HealthReport,
  states: ReadonlyMap<string, HealthVerdict>,
  at: Date,
): Change[] {
  const listed = new Set(now.checks.map(({ key }) => key))
  const isWhole = now.checks.length < HEALTH_LIST_MAX
  const troubles = now.checks.filter(({ state }) => state !== 'up').length
  const { down, held, unknown } = now.counts
  if (!isWhole && troubles < down + held + unknown) return []
  return before.checks
    .filter(({ key }) => !listed.has(key) && isBad(states.get(key) ?? 'unknown'))
    .map((check) => ({
      ...check,
      at: at.toISOString(),
      from: states.get(check.key) ?? 'unknown',
      to: isWhole ? 'unknown' : 'up',
      class: null,
      cause: isWhole ? 'not checked any more' : 'among those that are up',
    }))
}

/** What is unknown counts as up. */
function isNews(from: HealthVerdict, to: HealthVerdict): boolean {
  return from !== to && (isBad(from) || isBad(to))
}

function isBad(state: HealthVerdict): boolean {
  return state === 'down' || state === 'held'
}

function nameOf({ key, at, to, class: broken }: HealthEvent): string {
  return `${key} ${at} ${to} ${broken}`
}

const SEVERITY: Readonly<Record<HealthVerdict, EventSeverity>> = {
  up: 'info',
  unknown: 'info',
  held: 'warning',
  down: 'error',
}

function eventOf(change: Change, seen: Seen): NewEvent {
  const { key, kind, realServer, address, port, from, to, class: broken, cause } = change
  const ends = address.includes(':') ? `[${address}]` : address
  const asked = `${kind} ${ends}${port === 0 ? '' : `:${port}`}`
  const what = broken === null ? to : `${to} (${broken})`
  return hostEvent(seen, {
    kind: 'health.changed',
    severity: SEVERITY[to],
    at: momentOf(change.at, seen.at),
    realServer,
    virtualServices: servicesOf(key, seen),
    subject: `check/${key}`,
    cause,
    message: `${realServer} is ${what} for ${seen.name}, ${asked}: ${cause}`,
    detail: { check: key, kind, address, port, from, to, class: broken },
  })
}

function servicesOf(key: string, { services }: Seen): string[] {
  const names = [...services.values()]
    .filter(({ destinations }) => destinations.some(({ checks }) => checks?.includes(key) === true))
    .map(({ name }) => name)
  return [...new Set(names)].toSorted()
}
