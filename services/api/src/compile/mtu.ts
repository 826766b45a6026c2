/**
 * What a tunnel costs: bytes of overhead, the MTU inside, the MSS that fits. Pure arithmetic.
 * Outer header: 20 bytes of IPv4 (RFC 2003) or 40 of IPv6 (RFC 2473); then what the tunnel's type adds.
 */
import { assertNever, type Family, type Tunnel } from '@lvs-fleet/contract'

/** IPv6 allows no smaller link (RFC 8200 section 5); the kernel drops silently where it would need one. */
export const IPV6_MIN_MTU = 1280

const OUTER_HEADER: Record<Family, number> = { ipv4: 20, ipv6: 40 }

/** IP plus TCP header without options: 20 + 20 bytes for IPv4, 40 + 20 for IPv6. */
const TCP_HEADERS: Record<Family, number> = { ipv4: 40, ipv6: 60 }

/** Largest inner packet, in bytes, that fits a path of `pathMtu` through this tunnel. */
export function innerMtu(pathMtu: number, tunnel: Tunnel, outer: Family): number {
  return pathMtu - OUTER_HEADER[outer] - tunnelHeader(tunnel)
}

/** Bytes between the outer and the inner IP header, as __ip_vs_get_out_rt of Linux counts them. */
function tunnelHeader(tunnel: Tunnel): number {
  switch (tunnel.type) {
    case 'ipip':
      return 0
    case 'gre':
      // RFC 2784: 4 bytes, and 4 more with a checksum.
      return tunnel.checksum ? 8 : 4
    case 'gue':
      // UDP and GUE; remcsum adds its private flags and two offsets to packets that were not summed yet.
      return 8 + 4 + (tunnel.checksum === 'remcsum' ? 8 : 0)
    default:
      return assertNever(tunnel)
  }
}

/** MSS that keeps every segment inside one packet of `mtu` bytes. */
export function mssFor(mtu: number, inner: Family): number {
  return mtu - TCP_HEADERS[inner]
}

/** Largest UDP payload in one packet of `mtu` bytes: less the IP header and 8 bytes of UDP (RFC 768). */
export function largestDatagram(mtu: number, inner: Family): number {
  return mtu - (inner === 'ipv4' ? 20 : 40) - 8
}

export function familyName(family: Family): string {
  return family === 'ipv4' ? 'IPv4' : 'IPv6'
}
