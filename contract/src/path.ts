/** Names of paths, and which one a destination's packets take. */
import {
  destinationKey,
  serviceFamily,
  type DestinationState,
  type PathState,
  type ServiceRef,
} from './host-state.ts'
import { describeForwarding } from './op.ts'

type PathRef = Pick<PathState, 'family' | 'address' | 'port' | 'forwarding'>

/** `ipv4 to 10.2.0.11 by tun gue 6080`, `ipv6 to [fd01::11]:8080 by nat`. */
export function pathKey(path: PathRef): string {
  const to = path.port === 0 ? path.address : destinationKey(path)
  return `${path.family} to ${to} by ${describeForwarding(path.forwarding)}`
}

/** The key of the path to a destination, for whoever probes it: other ports of the VIP take the same one. */
export function pathKeyOf(
  service: ServiceRef,
  { address, port, forwarding }: Pick<DestinationState, 'address' | 'port' | 'forwarding'>,
): string {
  const asked = 'firewallMark' in service ? 0 : service.port
  const family = serviceFamily(service)
  return pathKey({ family, address, port: port === asked ? 0 : port, forwarding })
}
