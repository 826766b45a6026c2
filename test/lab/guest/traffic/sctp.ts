// SCTP sockets of one-to-one style (RFC 6458, section 4). Node has no name for them, but once it has
// their descriptor it treats them as streams like those of TCP. Bound to one address: an endpoint with
// more would tell them to its peer, which could then go past the director.
import { isIPv6 } from 'node:net'
import { endianness } from 'node:os'
import koffi from 'koffi'

const AF_INET = 2
const AF_INET6 = 10
const SOCK_STREAM = 1
const SOCK_CLOEXEC = 0o2000000
const IPPROTO_SCTP = 132

const libc = koffi.load('libc.so.6')
const makeSocket = libc.func('int socket(int domain, int type, int protocol)')
const bindSocket = libc.func('int bind(int fd, const void *address, uint32_t length)')

/** Descriptor of a bound socket, in the network namespace of the calling thread; port 0 = any. */
export function sctpSocket({ address, port }: { address: string; port: number }): number {
  const domain = isIPv6(address) ? AF_INET6 : AF_INET
  const fd: unknown = makeSocket(domain, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP)
  if (typeof fd !== 'number' || fd < 0) throw new Error(`no SCTP socket: errno ${koffi.errno()}`)
  const name = socketAddress(address, port)
  if (bindSocket(fd, name, name.length) !== 0) {
    throw new Error(`cannot bind SCTP ${address} port ${port}: errno ${koffi.errno()}`)
  }
  return fd
}

/** struct sockaddr_in and sockaddr_in6, include/uapi/linux/in.h and in6.h. */
function socketAddress(address: string, port: number): Buffer {
  const v6 = isIPv6(address)
  const name = Buffer.alloc(v6 ? 28 : 16)
  const family = v6 ? AF_INET6 : AF_INET
  if (endianness() === 'LE') name.writeUInt16LE(family, 0)
  else name.writeUInt16BE(family, 0)
  name.writeUInt16BE(port, 2)
  if (v6) name.set(bytesOfIpv6(address), 8)
  else name.set(address.split('.').map(Number), 4)
  return name
}

function bytesOfIpv6(address: string): Buffer {
  const [head = '', tail] = address.split('::')
  const groups = (text: string | undefined) => (text ? text.split(':') : [])
  const left = groups(head)
  const right = groups(tail)
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  const hex = [...left, ...zeros, ...right].map((group) => group.padStart(4, '0')).join('')
  return Buffer.from(hex, 'hex')
}
