/**
 * The only import of the native `netlink` package: one kernel socket that sends and receives
 * datagrams, with a cure for each way in which the package can hurt the process:
 *  - a receive overrun (ENOBUFS) aborts it, uncatchable: NETLINK_NO_ENOBUFS makes losses silent
 *    instead, so everything above must notice a missing answer by itself (timeouts, DONE);
 *  - a throw inside a listener aborts it: every listener body is wrapped;
 *  - closing inside a callback leaves the package with a freed poll handle: closing is deferred.
 */
import { readdirSync, readlinkSync } from 'node:fs'
import { RawNetlinkSocket } from 'netlink/dist/raw.js'
import { KernelError } from '../kernel.ts'
import {
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  NETLINK_NO_ENOBUFS,
  SO_RCVBUFFORCE,
  SOL_NETLINK,
  SOL_SOCKET,
} from './constants.ts'
import { setSocketOption } from '../libc.ts'

/** What the layers above need of a socket; tests script it. */
export type DatagramSocket = {
  /** Our address; the kernel names it in what we caused (nlmsg_pid). */
  readonly port: number
  /** Sends one datagram of one or more messages; `done` is told once whether the kernel took it. */
  send(bytes: Uint8Array, done: (errorCode: string | undefined) => void): void
  close(): void
}

export type DatagramHandlers = {
  message(bytes: Buffer): void
  /** The socket is of no more use, or an answer was cut. */
  broken(why: string): void
}

export type RawSocketOptions = {
  readonly protocol: number
  /**
   * `large`: few and big datagrams, as dumps are. `exact`: two system calls for each datagram, but no
   * more memory than it has bytes; ten thousand refusals would hold 320 MB otherwise.
   */
  readonly reads: 'large' | 'exact'
  readonly groups?: readonly number[]
  readonly receiveBufferBytes?: number
}

/** Doubled by the kernel; SO_RCVBUF is capped by net.core.rmem_max (212,992), this is not. */
const RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024
/**
 * The kernel makes dump datagrams as large as the reader's buffer, 32 KiB at most
 * (net/netlink/af_netlink.c, netlink_recvmsg); the package allocates this much for each read.
 */
const LARGE_READ_BYTES = 32 * 1024

export function openRawSocket(
  options: RawSocketOptions,
  handlers: DatagramHandlers,
): DatagramSocket {
  const { raw, fd } = createSocket(options)
  try {
    configure(fd, options.receiveBufferBytes ?? RECEIVE_BUFFER_BYTES)
    // Only now: an event before NETLINK_NO_ENOBUFS could overrun the buffer.
    for (const group of options.groups ?? []) raw.addMembership(group)
  } catch (error) {
    raw.close()
    throw error
  }
  return connectHandlers(raw, handlers)
}

function createSocket({ protocol, reads }: RawSocketOptions): {
  raw: RawNetlinkSocket
  fd: number
} {
  const before = openSockets()
  // Buffer sizes of 0 are skipped by the package; its types want them.
  const raw = new RawNetlinkSocket(protocol, {
    messagePeeking: reads === 'exact',
    msgBufferSize: LARGE_READ_BYTES,
    recvBufferSize: 0,
    sendBufferSize: 0,
  })
  const added = [...openSockets()].filter(([link]) => !before.has(link))
  const fd = added[0]?.[1]
  if (fd === undefined || added.length !== 1) {
    raw.close()
    throw new KernelError('open netlink socket', 'EBADF', 'its file descriptor was not found')
  }
  return { raw, fd }
}

/** `socket:[inode]` → descriptor. Not by number: the listing's own descriptor is used again at once. */
function openSockets(): ReadonlyMap<string, number> {
  const sockets = new Map<string, number>()
  for (const fd of readdirSync('/proc/self/fd')) {
    const link = linkOf(fd)
    if (link.startsWith('socket:')) sockets.set(link, Number(fd))
  }
  return sockets
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    // The descriptor of the listing itself is closed by now.
    return ''
  }
}

function configure(fd: number, receiveBufferBytes: number): void {
  const netlinkOptions = [
    NETLINK_NO_ENOBUFS,
    NETLINK_CAP_ACK,
    NETLINK_EXT_ACK,
    NETLINK_GET_STRICT_CHK,
  ]
  for (const name of netlinkOptions) require(fd, { level: SOL_NETLINK, name, value: 1 })
  // 0 leaves it as it is: root of a user namespace may not force it, and a few answers need no more.
  if (receiveBufferBytes === 0) return
  require(fd, { level: SOL_SOCKET, name: SO_RCVBUFFORCE, value: receiveBufferBytes })
}

function require(fd: number, option: { level: number; name: number; value: number }): void {
  const code = setSocketOption(fd, option)
  if (code === undefined) return
  const hint = code === 'EPERM' ? 'needs CAP_NET_ADMIN' : `option ${option.level}/${option.name}`
  throw new KernelError('open netlink socket', code, hint)
}

function connectHandlers(raw: RawNetlinkSocket, handlers: DatagramHandlers): DatagramSocket {
  let open = true
  raw.on('message', (bytes, sender) => {
    // Any process may write to our socket; only port 0 is the kernel.
    if (!open || sender.port !== 0) return
    guard(handlers, () => handlers.message(bytes))
  })
  raw.on('truncatedMessage', () => {
    if (open) guard(handlers, () => handlers.broken('an answer was cut'))
  })
  raw.on('error', (error) => {
    if (open) guard(handlers, () => handlers.broken(error.message))
  })
  // Whoever waits for an answer holds a timer; an idle socket must not keep the process alive.
  raw.unref()
  return {
    port: raw.address().port,
    send: (bytes, done) => {
      if (!open) return done('EBADF')
      raw.send(bytes, {}, (error) => guard(handlers, () => done(error?.code)))
    },
    close: () => {
      if (!open) return
      open = false
      setImmediate(() => raw.close())
    },
  }
}

function guard(handlers: DatagramHandlers, body: () => void): void {
  try {
    body()
  } catch (error) {
    try {
      handlers.broken(error instanceof Error ? error.message : String(error))
    } catch {
      // Nothing is left to tell; the requests that wait run into their timeouts.
    }
  }
}
