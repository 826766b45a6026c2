/**
 * Ping sockets (net/ipv4/ping.c): socket(2) through koffi, because Node opens no ICMP. What it gives is a descriptor
 * that looks like a datagram socket to everybody else.
 */
import type { Family } from '@lvs-fleet/contract'
import koffi from 'koffi'
import { errnoName } from '../netlink/errno.ts'

/** AF_INET and AF_INET6 of include/linux/socket.h, IPPROTO_ICMP and IPPROTO_ICMPV6 of include/uapi/linux/in.h, in6.h. */
const DOMAINS: Readonly<Record<Family, readonly [number, number]>> = {
  ipv4: [2, 1],
  ipv6: [10, 58],
}
/** SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC. */
const TYPE = 2 | 0o4000 | 0o2000000

type OpenSocket = (domain: number, type: number, protocol: number) => unknown
let openSocket: OpenSocket | undefined

/** The descriptor, which the caller closes; or the name of the error: EACCES where net.ipv4.ping_group_range forbids it. */
export function openPingSocket(family: Family): number | string {
  openSocket ??= koffi.load('libc.so.6').func('int socket(int domain, int type, int protocol)')
  const [domain, protocol] = DOMAINS[family]
  const fd = openSocket(domain, TYPE, protocol)
  return typeof fd === 'number' && fd >= 0 ? fd : errnoName(koffi.errno())
}
