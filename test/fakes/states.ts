/** Host states for tests, in the addresses of the kernel lab. */
import {
  EMPTY_HOST_PART,
  ip,
  type DestinationState,
  type HostPart,
  type HostState,
  type ServiceState,
} from '@lvs-fleet/contract'

export function destination(
  address: string,
  fields: Partial<Omit<DestinationState, 'address'>> = {},
): DestinationState {
  return {
    realServer: `rs-${address}`,
    address: ip(address),
    port: 80,
    forwarding: { method: 'dr' },
    weight: 1,
    upperThreshold: 0,
    lowerThreshold: 0,
    ...fields,
  }
}

export function service(
  address: string,
  destinations: readonly DestinationState[],
  fields: Partial<Omit<ServiceState, 'address' | 'destinations'>> = {},
): ServiceState {
  return {
    name: `vs-${address}`,
    protocol: 'tcp',
    address: ip(address),
    port: 80,
    scheduler: 'wrr',
    flags: [],
    persistence: null,
    drainSeconds: 60,
    destinations: [...destinations],
    ...fields,
  }
}

export function hostState(
  services: readonly ServiceState[],
  host: Partial<HostPart> = {},
): HostState {
  return { ...EMPTY_HOST_PART, ...host, services: [...services] }
}

/** `count` services on 10.1.x.y, each with `width` destinations. */
export function largeState(count: number, width: number, weight = 1): HostState {
  const services: ServiceState[] = []
  for (let i = 0; i < count; i++) {
    const destinations: DestinationState[] = []
    for (let d = 0; d < width; d++) {
      destinations.push(destination(`10.2.${(i * 7 + d) % 250}.${d + 1}`, { weight }))
    }
    services.push(service(`10.1.${Math.floor(i / 250)}.${(i % 250) + 1}`, destinations))
  }
  return hostState(services)
}
