/**
 * What a look at a virtual service says of the drains that operators asked for: what is left of each destination, since
 * when it is idle, whether it is gone. Takes what is wanted, what stands and the look before; pure.
 */
import { destinationKey, type DrainState, type ServiceState } from '@lvs-fleet/contract'
import type { ObservedDestination } from '../kernel/kernel.ts'

export type DrainLook = {
  readonly drain: DrainState
  readonly isGone: boolean
  readonly activeConnections: number
  readonly inactiveConnections: number
  readonly persistentConnections: number
  /** Boot clock, ms: when it was first seen without a connection that counts; null = there are some. */
  readonly idleSinceMs: number | null
}

/** Destination key → look. */
export type DrainLooks = ReadonlyMap<string, DrainLook>

export const NO_LOOKS: DrainLooks = new Map()

type Counted = Pick<
  ObservedDestination,
  'weight' | 'activeConnections' | 'inactiveConnections' | 'persistentConnections'
>

export function lookAtDrains(
  desired: ServiceState | undefined,
  standing: readonly ObservedDestination[],
  { before, nowMs }: { readonly before: DrainLooks; readonly nowMs: number },
): DrainLooks {
  if (desired === undefined || !hasDrains(desired)) return NO_LOOKS
  const byKey = new Map(standing.map((one) => [destinationKey(one), one]))
  const looks = new Map<string, DrainLook>()
  for (const destination of desired.destinations) {
    const { drain } = destination
    if (drain === undefined) continue
    const key = destinationKey(destination)
    const found = byKey.get(key)
    const idleSinceMs =
      found !== undefined && isIdle(desired, found, drain)
        ? (before.get(key)?.idleSinceMs ?? nowMs)
        : null
    looks.set(key, {
      drain,
      isGone: found === undefined,
      activeConnections: found?.activeConnections ?? 0,
      inactiveConnections: found?.inactiveConnections ?? 0,
      persistentConnections: found?.persistentConnections ?? 0,
      idleSinceMs,
    })
  }
  return looks
}

/** The look after the destination was removed. */
export function goneLook(look: DrainLook): DrainLook {
  return {
    drain: look.drain,
    isGone: true,
    activeConnections: 0,
    inactiveConnections: 0,
    persistentConnections: 0,
    idleSinceMs: null,
  }
}

/** Idle for as long as the drain asks for. */
export function isQuiet({ drain, idleSinceMs }: DrainLook, nowMs: number): boolean {
  return idleSinceMs !== null && nowMs - idleSinceMs >= drain.idleSeconds * 1_000
}

export function hasDrains({ destinations }: Pick<ServiceState, 'destinations'>): boolean {
  return destinations.some(({ drain }) => drain !== undefined)
}

/** The service as the kernel is to hold it in the end: without what drains. The very same object where nothing does. */
export function withoutDrains(service: ServiceState): ServiceState {
  if (!hasDrains(service)) return service
  const destinations = service.destinations.filter(({ drain }) => drain === undefined)
  return { ...service, destinations }
}

/** At another weight new clients may come at any moment. */
function isIdle(service: ServiceState, found: Counted, drain: DrainState): boolean {
  if (found.weight !== 0 || hasConnections(service, found)) return false
  return !drain.waitForTemplates || found.persistentConnections === 0
}

/** UDP has no active count, and a mark may carry it: idle only when the kernel has forgotten the clients too. */
export function hasConnections(
  service: Pick<ServiceState, 'protocol'>,
  found: Pick<Counted, 'activeConnections' | 'inactiveConnections'>,
): boolean {
  if (found.activeConnections > 0) return true
  const mayBeUdp = service.protocol === 'fwmark' || service.protocol === 'udp'
  return mayBeUdp && found.inactiveConnections > 0
}
