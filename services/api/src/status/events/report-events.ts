/**
 * Events of one host: its report before and its report now → what changed, each once. Pure, so that late, doubled and
 * repeated reports, restarts and other processes are no matter: whoever keeps a report derives its events, nobody else.
 */
import { EVENT_SEVERITIES, type NewEvent } from '../event.ts'
import { drainEvents } from './drain-events.ts'
import { healthEvents } from './health-events.ts'
import { panicEvents } from './panic-events.ts'
import { hostEvent, type Seen } from './seen.ts'
import { stateEvents } from './state-events.ts'
import { untoldChanges, weightEvents } from './weight-events.ts'

/** One report makes at most so many, the last of which says how many more there were. */
export const REPORT_EVENTS_MAX = 100

export function reportEvents(seen: Seen): NewEvent[] {
  const events = [
    ...stateEvents(seen),
    ...healthEvents(seen),
    ...panicEvents(seen),
    ...weightEvents(seen),
    ...drainEvents(seen),
  ]
  const untold = untoldChanges(seen)
  return capped(
    events,
    (count) =>
      hostEvent(seen, {
        kind: 'events.more',
        severity: 'warning',
        cause: `one report brought ${count + Math.min(events.length, REPORT_EVENTS_MAX - 1)} changes`,
        message: `${count} more changes on ${seen.name}; what stands now: lvsfleet status, lvsfleet health`,
        detail: { count, untoldWeights: untold },
      }),
    untold,
  )
}

/** The worst of too many, in the order in which they are told; `untold`: how many there were besides these. */
export function capped(
  events: readonly NewEvent[],
  more: (count: number) => NewEvent,
  untold = 0,
): NewEvent[] {
  if (events.length + Math.min(untold, 1) <= REPORT_EVENTS_MAX) {
    return untold === 0 ? [...events] : [...events, more(untold)]
  }
  const worstFirst = events.toSorted(
    (a, b) => EVENT_SEVERITIES.indexOf(b.severity) - EVENT_SEVERITIES.indexOf(a.severity),
  )
  const kept = new Set(worstFirst.slice(0, REPORT_EVENTS_MAX - 1))
  return [...events.filter((event) => kept.has(event)), more(events.length - kept.size + untold)]
}
