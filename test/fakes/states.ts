/** Host states for tests, in the addresses of the kernel lab. */
import {
  EMPTY_HOST_PART,
  ip,
  PROBE_MARKS,
  type DestinationState,
  type HostPart,
  type EndpointService,
  type MarkService,
  type PathState,
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
  fields: Partial<Omit<EndpointService, 'address' | 'destinations'>> = {},
): EndpointService {
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

/** The same, named by a mark. */
export function markService(
  firewallMark: number,
  destinations: readonly DestinationState[],
  fields: Partial<Omit<MarkService, 'protocol' | 'firewallMark' | 'destinations'>> = {},
): MarkService {
  return {
    name: `mark-${firewallMark}`,
    protocol: 'fwmark',
    firewallMark,
    family: 'ipv4',
    scheduler: 'wrr',
    flags: [],
    persistence: null,
    drainSeconds: 60,
    destinations: [...destinations],
    ...fields,
  }
}

/** The path to 10.2.0.n by IPIP. */
export function pathState(n: number, fields: Partial<PathState> = {}): PathState {
  return {
    mark: PROBE_MARKS.from + n,
    realServer: `rs-${n}`,
    family: 'ipv4',
    address: ip(`10.2.0.${n}`),
    port: 0,
    forwarding: { method: 'tun', tunnel: { type: 'ipip' } },
    mtu: 1480,
    source: ip('10.1.0.10'),
    vip: ip('10.1.0.100'),
    closedPort: 33_434,
    ...fields,
  }
}

export function hostState<S extends ServiceState>(
  services: readonly S[],
  host: Partial<HostPart> = {},
): HostPart & { readonly services: readonly S[] } {
  return { ...EMPTY_HOST_PART, ...host, services: [...services] }
}

/** `count` services on 10.1.x.y, each with `width` destinations. */
export function largeState(count: number, width: number, weight = 1) {
  const services: EndpointService[] = []
  for (let i = 0; i < count; i++) {
    const destinations: DestinationState[] = []
    for (let d = 0; d < width; d++) {
      destinations.push(destination(`10.2.${(i * 7 + d) % 250}.${d + 1}`, { weight }))
    }
    services.push(service(`10.1.${Math.floor(i / 250)}.${(i % 250) + 1}`, destinations))
  }
  return hostState(services)
}
