/**
 * The weight that each destination has in a director's kernel, as far as that can be known from here: what the
 * director reported; without a report what it does while all are up. Takes routes of one kernel service; pure.
 */
import {
  destinationKey,
  serviceKey,
  type Level,
  type WeighedDestination,
} from '@lvs-fleet/contract'
import type { Route } from '../destinations.ts'

export type KernelWeight = {
  readonly weight: number
  /** Null where the weight is that of intent, or nothing was reported. */
  readonly reported: WeighedDestination | null
}

/** `reported`: destinations whose weight is not intent's; null = the director said nothing yet. */
export function kernelWeights(
  routes: readonly Route[],
  reported: readonly WeighedDestination[] | null,
): KernelWeight[] {
  const first = firstLevel(routes)
  return routes.map((route) => {
    if (reported === null) {
      const isFirst = route.placement === undefined || route.placement.level === first
      return { weight: isFirst ? route.weight : 0, reported: null }
    }
    const found = reported.find((one) => isOf(one, route)) ?? null
    return { weight: found?.weight ?? route.weight, reported: found }
  })
}

function isOf({ service, destination }: WeighedDestination, route: Route): boolean {
  const { choice, serverPort: port, ref } = route
  if (!choice.ok || serviceKey(ref) !== service) return false
  return destinationKey({ address: choice.address, port }) === destination
}

/** Of those that get any weight. */
function firstLevel(routes: readonly Route[]): Level | undefined {
  const levels = routes
    .filter(({ weight, choice }) => weight > 0 && choice.ok)
    .flatMap(({ placement }) => (placement === undefined ? [] : [placement.level]))
  const numbers = levels.filter((level) => level !== 'sorry')
  return numbers.length === 0 ? levels[0] : Math.min(...numbers)
}
