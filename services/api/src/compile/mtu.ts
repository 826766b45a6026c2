/**
 * What a tunnel costs: bytes of overhead, the MTU inside, the MSS that fits. Pure arithmetic.
 * Overheads: RFC 2003 (IPIP: 20 bytes over IPv4), RFC 2473 (40 over IPv6).
 */
import type { Family, TunnelType } from '@lvs-fleet/contract'

/** IPv6 allows no smaller link (RFC 8200 section 5); the kernel drops silently where it would need one. */
export const IPV6_MIN_MTU = 1280

const OVERHEAD: Record<TunnelType, Record<Family, number>> = { ipip: { ipv4: 20, ipv6: 40 } }

/** IP plus TCP header without options: 20 + 20 bytes for IPv4, 40 + 20 for IPv6. */
const TCP_HEADERS: Record<Family, number> = { ipv4: 40, ipv6: 60 }

/** Largest inner packet, in bytes, that fits a path of `pathMtu` through this tunnel. */
export function innerMtu(pathMtu: number, tunnel: TunnelType, outer: Family): number {
  return pathMtu - OVERHEAD[tunnel][outer]
}

/** MSS that keeps every segment inside one packet of `mtu` bytes. */
export function mssFor(mtu: number, inner: Family): number {
  return mtu - TCP_HEADERS[inner]
}
