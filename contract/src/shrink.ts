/**
 * The removal limit: does a new state take away so much of the old one that a person should say so first?
 * Pure. The API refuses such a mutation unless it is allowed, and the agent holds such a state on its
 * own, so that neither a slip nor a bug on one side empties a director.
 */
import {
  destinationKey,
  haveSameEnds,
  serviceKey,
  type HostState,
  type ServiceState,
} from './host-state.ts'

/** More than this share of a host's virtual services in one change is too much. */
export const SHRINK_SERVICES_MAX = 0.25
/** More than this share of one virtual service's destinations in one change is too much. */
export const SHRINK_DESTINATIONS_MAX = 0.5

export type Shrink = {
  readonly held: boolean
  /** One line with the counts; '' when nothing is held. */
  readonly detail: string
  readonly counts: {
    readonly servicesBefore: number
    readonly servicesRemoved: number
    readonly destinationsBefore: number
    readonly destinationsRemoved: number
  }
}

/** Compares what a host carries now with what it would carry; weights do not count, removals do. */
export function shrinkOf(
  before: Pick<HostState, 'services'>,
  after: Pick<HostState, 'services'>,
): Shrink {
  const next = new Map(after.services.map((service) => [serviceKey(service), service]))
  let servicesRemoved = 0
  let destinationsBefore = 0
  let destinationsRemoved = 0
  const reasons: string[] = []
  for (const service of before.services) {
    destinationsBefore += service.destinations.length
    const kept = next.get(serviceKey(service))
    const removed = kept === undefined ? service.destinations.length : removedFrom(service, kept)
    destinationsRemoved += removed
    if (kept === undefined) servicesRemoved++
    else if (tooMany(service.destinations.length, removed)) {
      reasons.push(
        `${serviceKey(service)} would lose ${removed} of ${service.destinations.length} destinations`,
      )
    }
  }
  if (servicesRemoved > before.services.length * SHRINK_SERVICES_MAX) {
    reasons.unshift(`${servicesRemoved} of ${before.services.length} virtual services would go`)
  }
  return {
    held: reasons.length > 0,
    detail: summarize(reasons),
    counts: {
      servicesBefore: before.services.length,
      servicesRemoved,
      destinationsBefore,
      destinationsRemoved,
    },
  }
}

function removedFrom(before: ServiceState, after: ServiceState): number {
  if (haveSameEnds(before.destinations, after.destinations)) return 0
  const kept = new Set(after.destinations.map(destinationKey))
  return before.destinations.filter((destination) => !kept.has(destinationKey(destination))).length
}

/** The last destination counts as too many by itself: all of one is more than half of one. */
function tooMany(before: number, removed: number): boolean {
  return removed > before * SHRINK_DESTINATIONS_MAX
}

function summarize(reasons: readonly string[]): string {
  const shown = reasons.slice(0, 3).join('; ')
  return reasons.length > 3 ? `${shown}; and ${reasons.length - 3} more` : shown
}
