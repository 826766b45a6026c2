/** An event as JSON: the same in answers, streams and webhooks. */
import type { FleetEvent } from './event.ts'

export function wireEvent(event: FleetEvent) {
  return {
    ...event,
    at: event.at.toISOString(),
    recordedAt: event.recordedAt.toISOString(),
    virtualServices: [...event.virtualServices],
    detail: { ...event.detail },
  }
}
