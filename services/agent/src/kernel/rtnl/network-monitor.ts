/**
 * Tells that links or addresses changed, from the kernel's own announcements on a socket of its own.
 * Announcements are lost when the receive buffer is full (NETLINK_NO_ENOBUFS), which does no harm: a
 * lost one is older than the last one that was kept, whose call comes later and finds everything.
 */
import { NETLINK_ROUTE } from '../netlink/constants.ts'
import { eachMessage } from '../netlink/message.ts'
import { openRawSocket, type DatagramHandlers, type DatagramSocket } from '../netlink/raw-socket.ts'
import { RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_LINK } from './constants.ts'

/** An address of several thousand VIPs arrives as one call. */
const COALESCE_MS = 50
const REOPEN_MS = 1_000

export type NetworkMonitorOptions = {
  /** Changes that this socket caused are no news. Kernels before 6.3 do not say it for links. */
  readonly ownPort: () => number
  readonly receiveBufferBytes?: number
  /** For tests. */
  readonly open?: (handlers: DatagramHandlers) => DatagramSocket
}

export class NetworkMonitor {
  private readonly options: NetworkMonitorOptions
  private readonly listeners = new Set<() => void>()
  private socket: DatagramSocket | undefined
  private timer: NodeJS.Timeout | undefined
  private closed = false

  constructor(options: NetworkMonitorOptions) {
    this.options = options
  }

  /** Returns the unsubscribe function; the socket is open while anybody listens. */
  subscribe(listener: () => void): () => void {
    const entry = () => listener()
    this.listeners.add(entry)
    this.socket ??= this.open()
    return () => {
      this.listeners.delete(entry)
      if (this.listeners.size === 0) this.stop()
    }
  }

  close(): void {
    this.closed = true
    this.listeners.clear()
    this.stop()
  }

  private stop(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.socket?.close()
    this.socket = undefined
  }

  private open(): DatagramSocket {
    const handlers: DatagramHandlers = {
      message: (bytes) => this.receive(bytes),
      broken: () => this.reopenLater(),
    }
    return (this.options.open ?? ((h) => openRawSocket(this.rawOptions(), h)))(handlers)
  }

  private rawOptions() {
    const { receiveBufferBytes } = this.options
    const groups = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR]
    const options = { protocol: NETLINK_ROUTE, reads: 'exact', groups } as const
    return receiveBufferBytes === undefined ? options : { ...options, receiveBufferBytes }
  }

  private receive(bytes: Buffer): void {
    const ownPort = this.options.ownPort()
    let foreign = false
    eachMessage(bytes, ({ portId }) => {
      if (portId !== ownPort) foreign = true
    })
    if (foreign) this.schedule(COALESCE_MS)
  }

  /** Whatever broke the socket may have hidden changes, so the call comes as well. */
  private reopenLater(): void {
    this.socket?.close()
    this.socket = undefined
    this.schedule(REOPEN_MS)
  }

  private schedule(delayMs: number): void {
    if (this.closed || this.timer !== undefined) return
    this.timer = setTimeout(() => this.tell(), delayMs)
    this.timer.unref()
  }

  private tell(): void {
    this.timer = undefined
    try {
      this.socket ??= this.open()
    } catch {
      this.schedule(REOPEN_MS)
    }
    for (const listener of this.listeners) listener()
  }
}
