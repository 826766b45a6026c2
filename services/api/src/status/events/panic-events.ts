/**
 * Panic: a director that ignores health has weights as intent says, which no report explains. So it is told from two
 * things together: so few of a level are up that its policy (or its last server) demands it, and those that are down have weight.
 */
import {
  destinationKey,
  healthOf,
  type DestinationState,
  type ServiceState,
  type StatusReport,
} from '@lvs-fleet/contract'
import type { NewEvent } from '../event.ts'
import { hostEvent, levelName, type Seen } from './seen.ts'

export function panicEvents(seen: Seen): NewEvent[] {
  const { services, before, now } = seen
  const was = before === null ? new Map<string, Panic>() : panicsOf(services, before)
  const is = panicsOf(services, now)
  const began = [...is].filter(([name]) => !was.has(name)).map(([, panic]) => panic)
  const ended = [...was].filter(([name]) => !is.has(name)).map(([, panic]) => panic)
  return [
    ...began.map((panic) => eventOf('panic.began', panic, seen)),
    ...ended.map((panic) => eventOf('panic.ended', panic, seen)),
  ]
}

type Panic = {
  readonly service: string
  readonly virtualService: string
  readonly of: string
  readonly up: number
  readonly wanted: number
}

function panicsOf(
  services: ReadonlyMap<string, ServiceState>,
  report: StatusReport,
): Map<string, Panic> {
  const panics = new Map<string, Panic>()
  const { health } = report
  if (health === null || health.counts.down + health.counts.held === 0) return panics
  if (report.weights.length < report.weightCount) return panics
  const results = new Map(health.checks.map((check) => [check.key, check]))
  const isDown = (destination: DestinationState) => {
    const state = healthOf(destination, results)?.state
    return state === 'down' || state === 'held'
  }
  const explained = new Map(
    report.weights.map((one) => [`${one.service} > ${one.destination}`, one.factors]),
  )
  for (const [key, service] of services) {
    const levels = Map.groupBy(service.destinations, ({ placement }) => placement?.level)
    for (const [level, destinations] of levels) {
      const wanted = destinations.filter(({ weight }) => weight > 0)
      const down = wanted.filter(isDown)
      if (down.length === 0) continue
      const up = weightOf(wanted) - weightOf(down)
      const threshold = service.policy?.panicThresholdPercent ?? 0
      if (up > 0 && up * 100 >= weightOf(wanted) * threshold) continue
      const hasWeight = down.some((destination) => {
        if (destination.overrides !== undefined) return false
        const factors = explained.get(`${key} > ${destinationKey(destination)}`)
        return (
          factors === undefined || factors.some(({ name, value }) => name === 'health' && value > 0)
        )
      })
      if (!hasWeight) continue
      panics.set(`${key} ${level}`, {
        service: key,
        virtualService: service.name,
        of: level === undefined ? 'the whole service' : levelName(level),
        up: wanted.length - down.length,
        wanted: wanted.length,
      })
    }
  }
  return panics
}

function weightOf(destinations: readonly DestinationState[]): number {
  return destinations.reduce((sum, { weight }) => sum + weight, 0)
}

function eventOf(kind: 'panic.began' | 'panic.ended', panic: Panic, seen: Seen): NewEvent {
  const { service, virtualService, of, up, wanted } = panic
  const where = `${virtualService} on ${seen.name}`
  const cause =
    kind === 'panic.began' ? `${up} of ${wanted} are up` : 'enough are up, or others take over'
  return hostEvent(seen, {
    kind,
    severity: kind === 'panic.began' ? 'error' : 'info',
    virtualServices: [virtualService],
    subject: `${service} ${of}`,
    cause,
    message:
      kind === 'panic.began'
        ? `panic: ${where} ignores health in ${of}: ${cause}`
        : `no panic any more: health counts again in ${of} of ${where}`,
    detail: { service, of, up, wanted },
  })
}
