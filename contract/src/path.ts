/** Names of paths, and how their services are told from those that clients address. */
import { destinationKey, type PathState, type ServiceRef } from './host-state.ts'
import { describeForwarding } from './op.ts'

/** Marks of paths. Next to those of port ranges, and like them refused to operators. */
export const PROBE_MARKS = { from: 0x4d00_0000, to: 0x4dff_ffff } as const

/** `ipv4 to 10.2.0.11 by tun gue 6080`, `ipv6 to [fd01::11]:8080 by nat`. */
export function pathKey(
  path: Pick<PathState, 'family' | 'address' | 'port' | 'forwarding'>,
): string {
  const to = path.port === 0 ? path.address : destinationKey(path)
  return `${path.family} to ${to} by ${describeForwarding(path.forwarding)}`
}

/** Is it the service of a path? Those are the agent's own affair: no client reaches one, no operator counts it. */
export function isProbe(service: ServiceRef): boolean {
  if (!('firewallMark' in service)) return false
  const { firewallMark: mark } = service
  return PROBE_MARKS.from <= mark && mark <= PROBE_MARKS.to
}

/** The service's key, as the ledger has it. */
export function isProbeKey(key: string): boolean {
  const mark = Number(/^fwmark\/(\d+)\//.exec(key)?.[1])
  return PROBE_MARKS.from <= mark && mark <= PROBE_MARKS.to
}
