/** Drains: two reports of one host → which began, and how each that is over ended. */
import { destinationKey, type Drain, type StatusReport } from '@lvs-fleet/contract'
import type { NewEvent } from '../event.ts'
import { hostEvent, type Seen } from './seen.ts'

/** A report is made a moment after the deadline that it tells of. */
const LATE_MS = 2_000

export function drainEvents(seen: Seen): NewEvent[] {
  const { before, now } = seen
  const old = byName(before?.drains ?? [])
  const fresh = byName(now.drains)
  const began = before === null || isWhole(before) ? missingFrom(old, fresh) : []
  const ended = isWhole(now) ? missingFrom(fresh, old) : []
  return [
    ...began.map((drain) => beganEvent(drain, seen)),
    ...ended.map((drain) => endedEvent(drain, seen)),
  ]
}

function byName(drains: readonly Drain[]): Map<string, Drain> {
  return new Map(drains.map((drain) => [nameOf(drain), drain]))
}

function nameOf({ service, destination }: Drain): string {
  return `${service} > ${destination}`
}

function isWhole({ drains, drainCount }: StatusReport): boolean {
  return drains.length >= drainCount
}

function missingFrom(known: ReadonlyMap<string, Drain>, list: ReadonlyMap<string, Drain>): Drain[] {
  return [...list].filter(([name]) => !known.has(name)).map(([, drain]) => drain)
}

function beganEvent(drain: Drain, seen: Seen): NewEvent {
  const { connections, remainingSeconds } = drain
  const cause = `${connections} connections, at most ${remainingSeconds} s`
  return hostEvent(seen, {
    kind: 'drain.began',
    ...placeOf(drain, seen),
    cause,
    message: `${drain.destination} drains in ${serviceName(drain, seen)} on ${seen.name}: ${cause}`,
    detail: { ...drain },
  })
}

function endedEvent(drain: Drain, seen: Seen): NewEvent {
  const outcome = outcomeOf(drain, seen)
  const cause = {
    idle: 'no connection is left',
    deadline: `the time is over, with ${drain.connections} connections when last seen`,
    wanted: 'it is wanted again',
  }[outcome]
  return hostEvent(seen, {
    kind: 'drain.ended',
    severity: outcome === 'deadline' ? 'warning' : 'info',
    ...placeOf(drain, seen),
    cause,
    message: `the drain of ${drain.destination} in ${serviceName(drain, seen)} on ${seen.name} is over: ${cause}`,
    detail: { ...drain, outcome },
  })
}

function outcomeOf(drain: Drain, seen: Seen): 'idle' | 'deadline' | 'wanted' {
  if (destinationOf(drain, seen) !== undefined) return 'wanted'
  const { beforeAt, at } = seen
  if (beforeAt === null || drain.connections === 0) return 'idle'
  const deadline = beforeAt.getTime() + drain.remainingSeconds * 1_000
  return deadline <= at.getTime() + LATE_MS ? 'deadline' : 'idle'
}

function placeOf(drain: Drain, seen: Seen) {
  const service = seen.services.get(drain.service)
  return {
    realServer: destinationOf(drain, seen)?.realServer ?? null,
    virtualServices: service === undefined ? [] : [service.name],
    subject: nameOf(drain),
  }
}

function destinationOf(drain: Drain, { services }: Seen) {
  return services
    .get(drain.service)
    ?.destinations.find((destination) => destinationKey(destination) === drain.destination)
}

function serviceName({ service }: Drain, { services }: Seen): string {
  return services.get(service)?.name ?? service
}
