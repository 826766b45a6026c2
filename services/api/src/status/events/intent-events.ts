/** What people do, as events: a revision of the intent, and everything else that leaves a line in the audit trail. */
import { makeEvent, type EventKind, type EventSeverity, type NewEvent } from '../event.ts'
import { capped } from './report-events.ts'

export type IntentChange = {
  readonly actor: string
  readonly action: string
  readonly revision: number
  readonly at: Date
  readonly summary: string
  readonly changes: readonly {
    readonly change: string
    readonly kind: string
    readonly name: string
  }[]
  readonly hostCount: number
}

export function intentEvents(change: IntentChange): NewEvent[] {
  const { actor, action, revision, at, summary, changes, hostCount } = change
  const cause = `${action} by ${actor}`
  const base = { kind: 'intent.changed', at, cause } as const
  const detail = { actor, action, revision, hosts: hostCount }
  if (changes.length === 0) {
    const message = `${actor}: ${summary}, revision ${revision}`
    return [makeEvent({ ...base, subject: 'fleet', message, detail })]
  }
  const events = changes.map(({ change: what, kind, name }) =>
    makeEvent({
      ...base,
      ...placeOf(kind, name),
      subject: `${kind}/${name}`,
      message: `${actor} ${what} ${kind} ${name}, revision ${revision}`,
      detail: { ...detail, change: what },
    }),
  )
  return capped(events, (count) =>
    makeEvent({
      ...base,
      kind: 'events.more',
      subject: `revision/${revision}`,
      message: `${count} more changes by ${actor} in revision ${revision}: lvsfleet revisions`,
      detail: { ...detail, count },
    }),
  )
}

function placeOf(kind: string, name: string): Partial<NewEvent> {
  if (kind === 'director') return { director: name }
  if (kind === 'real-server') return { realServer: name }
  if (kind === 'virtual-service') return { virtualServices: [name] }
  return kind === 'site' ? { site: name } : {}
}

export type AuditLine = {
  readonly at: Date
  readonly actor: string
  readonly action: string
  readonly subject: string
}

const HOST_KINDS: Readonly<Record<string, EventKind>> = {
  'host.enrol': 'host.enrolled',
  'host.revoke': 'host.revoked',
  'host.quarantine': 'host.quarantined',
  'host.release': 'host.released',
}

/** What somebody must look at; everything else that people do is told as it is. */
const SEVERITIES: Partial<Record<EventKind, EventSeverity>> = { 'host.quarantined': 'error' }

export function auditEvent({ at, actor, action, subject }: AuditLine): NewEvent {
  const [place = '', name = ''] = subject.split('/')
  const kind = HOST_KINDS[action] ?? 'access.changed'
  return makeEvent({
    kind,
    severity: SEVERITIES[kind] ?? 'info',
    at,
    subject,
    ...placeOf(place, name),
    cause: `${action} by ${actor}`,
    message:
      kind === 'host.quarantined'
        ? `two hosts use the key of ${subject}, or its disk went back in time; both forward as they were. Stop the copy, then: lvsfleet release ${subject}`
        : `${actor}: ${action} ${subject}`,
    detail: { actor, action },
  })
}
