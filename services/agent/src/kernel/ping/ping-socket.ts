/**
 * Ping sockets (net/ipv4/ping.c): socket(2) through koffi, because Node opens no ICMP. What it gives is a descriptor
 * that looks like a datagram socket to everybody else.
 */
import type { Family } from '@lvs-fleet/contract'
import { openSocket } from '../libc.ts'

/** AF_INET and AF_INET6 of include/linux/socket.h, IPPROTO_ICMP and IPPROTO_ICMPV6 of include/uapi/linux/in.h, in6.h. */
const DOMAINS: Readonly<Record<Family, readonly [number, number]>> = {
  ipv4: [2, 1],
  ipv6: [10, 58],
}
/** SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC. */
const TYPE = 2 | 0o4000 | 0o2000000

/** The descriptor, which the caller closes; or the name of the error: EACCES where net.ipv4.ping_group_range forbids it. */
export function openPingSocket(family: Family): number | string {
  const [domain, protocol] = DOMAINS[family]
  return openSocket(domain, TYPE, protocol)
}
