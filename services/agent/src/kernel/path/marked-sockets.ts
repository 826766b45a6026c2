/**
 * The real PathSockets. socket(2), SO_MARK and bind(2) go through koffi; the descriptor is then Node's, which
 * connects, waits, reads and closes without a thread or a poll of our own. A descriptor that Node did not take is
 * closed here.
 */
import type { Socket as DatagramSocket } from 'node:dgram'
import { familyOf, type Family, type Ip } from '@lvs-fleet/contract'
import { KernelError } from '../kernel.ts'
import { bindSocket, closeSocket, openSocket, setSocketOption } from '../libc.ts'
import { SOL_SOCKET } from '../netlink/constants.ts'
import { explainErrno } from '../netlink/errno.ts'
import type { DatagramFate, PathSockets } from './path-sockets.ts'
import { ADDRESS_FAMILY, encodeSocketAddress } from './socket-address.ts'

/** include/linux/net.h, include/uapi/asm-generic/fcntl.h: x64 and arm64 agree. */
const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
/** include/uapi/asm-generic/socket.h; needs CAP_NET_ADMIN. */
const SO_MARK = 36

type Option = { readonly level: number; readonly name: number; readonly value: number }

/**
 * IP_MTU_DISCOVER and IPV6_MTU_DISCOVER with the value PROBE (include/uapi/linux/in.h, in6.h): never fragment, and let
 * the packet out whatever this host believes of the path, so that the path itself answers.
 */
const NEVER_FRAGMENT: Readonly<Record<Family, Option>> = {
  ipv4: { level: 0, name: 10, value: 3 },
  ipv6: { level: 41, name: 23, value: 3 },
}
/** IP header and 8 bytes of UDP header (RFC 768). */
const HEADER_BYTES: Readonly<Record<Family, number>> = { ipv4: 20 + 8, ipv6: 40 + 8 }

export const markedSockets: PathSockets = {
  connect({ mark, source, address, port }) {
    const net = process.getBuiltinModule('node:net')
    const fd = openMarked(SOCK_STREAM, mark, source)
    const socket = handOver(
      fd,
      (taken) => new net.Socket({ fd: taken, readable: true, writable: true }),
    )
    // In the same turn: until it connects, a look at the descriptor would find it hung up.
    return socket.connect({ host: address, port, family: familyOf(address) === 'ipv4' ? 4 : 6 })
  },

  datagrams: ({ mark, source }) => openDatagrams(mark, source),

  async sendDatagram({ mark, source, address, port }, packetBytes, timeoutMs) {
    const family = familyOf(address)
    const socket = openDatagrams(mark, source, NEVER_FRAGMENT[family])
    const payload = new Uint8Array(packetBytes - HEADER_BYTES[family])
    return fateOf(socket, { address, port, payload }, timeoutMs)
  },
}

function openDatagrams(mark: number, source: Ip, ...options: readonly Option[]): DatagramSocket {
  const fd = openMarked(SOCK_DGRAM, mark, source, ...options)
  return handOver(fd, (taken) => {
    const udp = process
      .getBuiltinModule('node:dgram')
      .createSocket(familyOf(source) === 'ipv4' ? 'udp4' : 'udp6')
    udp.bind({ fd: taken })
    return udp
  })
}

function openMarked(type: number, mark: number, source: Ip, ...options: readonly Option[]): number {
  const fd = openSocket(ADDRESS_FAMILY[familyOf(source)], type | SOCK_NONBLOCK | SOCK_CLOEXEC)
  if (typeof fd === 'string') throw refused('open a socket', fd)
  // setsockopt takes an int; a mark is the same 32 bits without a sign.
  const marking = mark === 0 ? [] : [{ level: SOL_SOCKET, name: SO_MARK, value: mark | 0 }]
  const failure =
    [...marking, ...options]
      .map((option) => setSocketOption(fd, option))
      .find((code) => code !== undefined) ?? bindSocket(fd, encodeSocketAddress(source, 0))
  if (failure === undefined) return fd
  closeSocket(fd)
  throw refused(`open a socket from ${source} with mark ${mark}`, failure)
}

/** Until `take` returns, the descriptor is ours to close. */
function handOver<T>(fd: number, take: (fd: number) => T): T {
  try {
    return take(fd)
  } catch (error) {
    closeSocket(fd)
    throw error
  }
}

/** Connected, so that the kernel tells this socket what ICMP says about its datagram. */
function fateOf(
  socket: DatagramSocket,
  to: { readonly address: Ip; readonly port: number; readonly payload: Uint8Array },
  timeoutMs: number,
): Promise<DatagramFate> {
  return new Promise((resolve) => {
    let isOpen = true
    const end = (fate: DatagramFate): void => {
      if (!isOpen) return
      isOpen = false
      clearTimeout(timer)
      socket.removeAllListeners()
      // Closing may report what came too late.
      socket.on('error', () => undefined)
      socket.close()
      resolve(fate)
    }
    const timer = setTimeout(() => end('silent'), timeoutMs)
    socket.on('error', (error) => end(fateByError(error)))
    // Something does listen there: then it arrived even more.
    socket.on('message', () => end('arrived'))
    socket.connect(to.port, to.address, () => {
      if (!isOpen) return
      socket.send(to.payload, (error) => {
        if (error !== null) end(fateByError(error))
      })
    })
  })
}

/** ICMP errors as icmp_err_convert (net/ipv4/icmp.c) and icmpv6_err_convert turn them into errno. */
function fateByError(error: Error): DatagramFate {
  const code = 'code' in error ? error.code : undefined
  if (code === 'ECONNREFUSED') return 'arrived'
  return code === 'EMSGSIZE' ? 'too-big' : 'silent'
}

function refused(operation: string, code: string): KernelError {
  return new KernelError(operation, code, explainErrno(code))
}
