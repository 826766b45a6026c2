/**
 * When a service need not be looked at before it is changed: the state that it left was in the kernel as the
 * last look and our own writes say, nothing of it is in trouble or drains, and nothing leaves. A plan made from
 * that is one message for one changed weight; where somebody was quicker the kernel refuses, and then we look.
 */
import { destinationKey, haveSameEnds, type ServiceState } from '@lvs-fleet/contract'
import type { ObservedDestination } from '../kernel/kernel.ts'
import { hasDrains } from '../plan/drain-look.ts'
import type { World } from './world.ts'

/** The service before the change that is to be made; undefined where nobody knows what stands. */
export type Remembered = ServiceState | undefined

const NO_STATS = { connections: 0n, inPackets: 0n, outPackets: 0n, inBytes: 0n, outBytes: 0n }
/** Nothing that leaves is planned from them. */
const NOT_COUNTED = {
  exact: true,
  activeConnections: 0,
  inactiveConnections: 0,
  persistentConnections: 0,
  stats: NO_STATS,
}

/** Its destinations as they must stand; undefined when the kernel must be asked. */
export function recall(
  world: World,
  key: string,
  before: Remembered,
): ObservedDestination[] | undefined {
  const after = world.inForce.services.get(key)
  if (before === undefined || after === undefined) return undefined
  const { ledger } = world.book
  if (!ledger.services.has(key) || ledger.drains.has(key) || world.troubles.has(key)) {
    return undefined
  }
  // What drains may be gone already, and one whose drain was cancelled too.
  if (hasDrains(before) || hasDrains(after)) return undefined
  if (!haveSameEnds(before.destinations, after.destinations)) {
    const staying = new Set(after.destinations.map(destinationKey))
    const isLeft = before.destinations.some((one) => !staying.has(destinationKey(one)))
    if (isLeft) return undefined
  }
  return before.destinations.map((destination) => ({ ...destination, ...NOT_COUNTED }))
}
