/**
 * Correlator: sends requests over a datagram socket and hands each answer to the exchange it belongs
 * to. Losses are silent (see raw-socket.ts), so each exchange has a timeout; a socket on which one was
 * lost is thrown away, because a half-read dump would refuse the next one with EBUSY.
 */
import { KernelError } from '../kernel.ts'
import type { Exchange } from './exchange.ts'
import { eachMessage, type NetlinkFailure } from './message.ts'
import type { DatagramHandlers, DatagramSocket } from './raw-socket.ts'

export type CorrelatorOptions = {
  readonly open: (handlers: DatagramHandlers) => DatagramSocket
  /** How long one request, one batch, or the next part of a dump may take. */
  readonly timeoutMs: number
}

export class Correlator {
  private readonly options: CorrelatorOptions
  private readonly exchanges = new Map<Exchange, NodeJS.Timeout>()
  private raw: DatagramSocket | undefined
  private closed = false
  private nextSequence = 1

  constructor(options: CorrelatorOptions) {
    this.options = options
  }

  /** Opens the socket now, to know what is wrong with it; else the first exchange does. */
  open(): void {
    this.raw ??= this.openRaw()
  }

  get port(): number {
    return this.raw?.port ?? 0
  }

  takeSequences(count: number): number {
    const first = this.nextSequence
    this.nextSequence = (first + count) >>> 0
    return first
  }

  /** Sends what the exchange is about; the exchange is told how it ends. */
  start(operation: string, exchange: Exchange, bytes: Buffer): void {
    const raw = this.openOrFail(operation, exchange)
    if (raw === undefined) return
    const { timeoutMs } = this.options
    const timer = setTimeout(() => {
      this.drop({ code: 'ETIMEDOUT', message: `no answer from the kernel within ${timeoutMs} ms` })
    }, timeoutMs)
    this.exchanges.set(exchange, timer)
    raw.send(bytes, (code) => {
      if (code !== undefined && this.finish(exchange)) {
        exchange.fail({ code, message: `${operation} was not sent` })
      }
    })
  }

  close(): void {
    this.closed = true
    this.drop({ code: 'ECANCELED', message: 'the kernel connection was closed' })
  }

  private openOrFail(operation: string, exchange: Exchange): DatagramSocket | undefined {
    try {
      if (this.closed) throw new KernelError(operation, 'EBADF', 'the kernel connection is closed')
      this.raw ??= this.openRaw()
      return this.raw
    } catch (error) {
      const code = error instanceof KernelError ? error.code : 'EIO'
      exchange.fail({ code, message: error instanceof Error ? error.message : String(error) })
      return undefined
    }
  }

  private openRaw(): DatagramSocket {
    const socket: DatagramSocket = this.options.open({
      message: (bytes) => this.receive(bytes),
      broken: (why) => {
        if (this.raw === socket) this.drop({ code: 'EIO', message: why })
      },
    })
    return socket
  }

  private receive(bytes: Buffer): void {
    eachMessage(bytes, (message) => {
      // A handful at most: one dump, two batches, single requests.
      for (const [exchange, timer] of this.exchanges) {
        const index = (message.sequence - exchange.firstSequence) >>> 0
        if (index >= exchange.sequenceCount) continue
        timer.refresh()
        if (exchange.take(message)) this.finish(exchange)
        return
      }
    })
  }

  /** False when it had ended before. */
  private finish(exchange: Exchange): boolean {
    clearTimeout(this.exchanges.get(exchange))
    return this.exchanges.delete(exchange)
  }

  /** Ends everything that waits; the next exchange opens a new socket. */
  private drop(failure: NetlinkFailure): void {
    this.raw?.close()
    this.raw = undefined
    for (const exchange of this.exchanges.keys()) {
      if (this.finish(exchange)) exchange.fail(failure)
    }
  }
}
