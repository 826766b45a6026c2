/**
 * What an event is: one change in the fleet, with when, where, why, and a line that a person understands. The kinds are
 * a closed list, since people filter and alert on them; docs/events.md is held against it by a test.
 */

/** Worst last, so that a filter can ask for one and everything worse. */
export const EVENT_SEVERITIES = ['info', 'warning', 'error'] as const
export type EventSeverity = (typeof EVENT_SEVERITIES)[number]

/** Kind → what it tells. */
export const EVENT_KINDS = {
  'intent.changed': 'somebody changed an object of the intent, or published all states anew',
  'access.changed': 'an API key, a join token or a webhook was made, changed or ended',
  'host.enrolled': 'an agent joined as a director or real server',
  'host.revoked': 'the identity of an agent was ended',
  'host.quarantined':
    'two hosts use one key: neither is given states or heard until somebody releases it; both kernels forward as they were',
  'host.released': 'a host is out of quarantine',
  'state.applied': 'a published generation is in force on a host',
  'state.rejected': 'an agent refuses what is published; the state before stays in force',
  'state.accepted': 'an agent no longer refuses what is published',
  'host.held': 'somebody stopped the agent on its host; the kernel forwards as it was',
  'host.resumed': 'a held agent goes on',
  'host.rebooted': 'a host runs another boot than when it reported last',
  'host.stale': 'nothing was heard of a host for 11 minutes; its kernel forwards as it was',
  'host.returned': 'a host that was stale reports again',
  'condition.changed':
    'a host converged or ceased to, or a path of it became too narrow or wide enough',
  'ops.failed': 'a kernel does not take operations',
  'ops.recovered': 'everything that a kernel refused is done',
  'drift.repaired': 'an agent undid what somebody else did to what it owns',
  'health.changed': 'a check of a real server went up, down or on hold, as one director sees it',
  'weight.changed': 'the effective weight of a destination changed on one director',
  'level.changed': 'the share of a level of a virtual service changed: spill-over, or its end',
  'panic.began':
    'so few are up that one director ignores health for a level, or for a whole virtual service',
  'panic.ended': 'health counts again',
  'drain.began': 'a removed destination finishes its connections',
  'drain.ended':
    'a drain is over: idle, at its deadline, or because the destination is wanted again',
  'webhook.gave-up':
    'a webhook did not take an event for its whole time, and is stopped until resumed',
  'webhook.missed': 'events that a webhook had still to be told left retention',
  'events.more': 'one report brought more changes than are kept one by one',
} as const
export type EventKind = keyof typeof EVENT_KINDS

export type NewEvent = {
  readonly kind: EventKind
  readonly severity: EventSeverity
  /** When it happened, as far as whoever saw it knows; by the clock of the API where nobody says. */
  readonly at: Date
  /** Whose view it is; null where no director is concerned. */
  readonly director: string | null
  readonly site: string | null
  readonly realServer: string | null
  /** Virtual services that it concerns; at most `SERVICES_MAX`. */
  readonly virtualServices: readonly string[]
  /** What changed: `pool/web`, `director/dir-a`, `tcp/10.1.0.100:80 > 10.1.0.11:80`, a check. */
  readonly subject: string
  readonly cause: string
  /** One line for people, that names subject and cause. */
  readonly message: string
  readonly detail: Readonly<Record<string, unknown>>
}

export type FleetEvent = NewEvent & {
  /** Grows by one with each event, in the order in which they were committed. */
  readonly id: number
  readonly recordedAt: Date
}

export type EventFilter = {
  readonly kind?: readonly EventKind[] | undefined
  readonly director?: string | undefined
  readonly virtualService?: string | undefined
  readonly realServer?: string | undefined
  /** This one and worse. */
  readonly severity?: EventSeverity | undefined
  /** Of what happened then or later. */
  readonly since?: Date | undefined
}

export const SERVICES_MAX = 50
const TEXT_MAX = 500

/** An event with what most have not, and texts cut to what is kept. */
export function makeEvent(
  event: Pick<NewEvent, 'kind' | 'at' | 'subject' | 'message'> & Partial<NewEvent>,
): NewEvent {
  const { virtualServices = [], subject, cause = '', message } = event
  return {
    severity: 'info',
    director: null,
    site: null,
    realServer: null,
    detail: {},
    ...event,
    virtualServices: virtualServices.slice(0, SERVICES_MAX),
    subject: oneLine(subject),
    cause: oneLine(cause),
    message: oneLine(message),
  }
}

export function matchesEvent(event: NewEvent, filter: EventFilter): boolean {
  const { kind, director, virtualService, realServer, severity, since } = filter
  return (
    (kind === undefined || kind.includes(event.kind)) &&
    (director ?? event.director) === event.director &&
    (realServer ?? event.realServer) === event.realServer &&
    (virtualService === undefined || event.virtualServices.includes(virtualService)) &&
    (severity === undefined || rankOf(event.severity) >= rankOf(severity)) &&
    (since === undefined || event.at >= since)
  )
}

/** `severity` and everything worse. */
export function atLeast(severity: EventSeverity): EventSeverity[] {
  return EVENT_SEVERITIES.slice(rankOf(severity))
}

function rankOf(severity: EventSeverity): number {
  return EVENT_SEVERITIES.indexOf(severity)
}

/** What agents and operators wrote must not end the line: terminals and `text/event-stream` are made of lines. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').slice(0, TEXT_MAX)
}
