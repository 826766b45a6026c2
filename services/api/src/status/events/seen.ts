/** What deriving events is given of one host: who it is, two reports of it, and what is published for it. */
import { serviceKey, type Level, type ServiceState, type StatusReport } from '@lvs-fleet/contract'
import { makeEvent, type NewEvent } from '../event.ts'

export type Published = {
  readonly epoch: number
  readonly generation: number
  readonly digest: string
}

export type Seen = {
  readonly role: 'director' | 'real-server'
  readonly name: string
  readonly site: string
  /** Null: this identity never reported. */
  readonly before: StatusReport | null
  readonly beforeAt: Date | null
  readonly now: StatusReport
  readonly at: Date
  /** Null: nothing is published for it any more. */
  readonly published: Published | null
  /** As published, by key: what gives names to what a report calls by its address. */
  readonly services: ReadonlyMap<string, ServiceState>
  /** It was told as stale, and now reports again. */
  readonly wasStale: boolean
}

export function servicesByKey(services: readonly ServiceState[]): Map<string, ServiceState> {
  return new Map(services.map((service) => [serviceKey(service), service]))
}

/** An event of this host, at the time of the report unless it says another. */
export function hostEvent(
  seen: Seen,
  event: Pick<NewEvent, 'kind' | 'message'> & Partial<NewEvent>,
): NewEvent {
  const { role, name, site, at } = seen
  const who = role === 'director' ? { director: name } : { realServer: name }
  return makeEvent({ at, site, subject: `${role}/${name}`, ...who, ...event })
}

/** A time that an agent wrote; that of the report where it is none. Never later than the report itself. */
export function momentOf(text: string | null, at: Date): Date {
  const time = text === null ? Number.NaN : Date.parse(text)
  return Number.isNaN(time) ? at : new Date(Math.min(time, at.getTime()))
}

export function levelName(level: Level): string {
  return level === 'sorry' ? 'the sorry server' : `level ${level}`
}
