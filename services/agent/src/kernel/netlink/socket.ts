/**
 * NetlinkSocket: requests, dumps and batches, as the kernel halves use them. A dump counts only when
 * its DONE came and nothing changed meanwhile; the kernel allows one at a time on a socket, so dumps
 * queue. Messages of a batch are answered one by one although only the last asks for an ack.
 */
import { KernelError } from '../kernel.ts'
import { MESSAGE_BYTES_MAX, packBatches, stampBatch, type Batch } from './batches.ts'
import { Correlator } from './correlator.ts'
import { answerExchange, batchExchange, emptyFailures, type Answer } from './exchange.ts'
import type { NetlinkFailure, NetlinkMessage } from './message.ts'
import { MessageWriter, stampMessage, viewOf } from './message-writer.ts'
import {
  openRawSocket,
  type DatagramHandlers,
  type DatagramSocket,
  type RawSocketOptions,
} from './raw-socket.ts'

export type NetlinkSocketOptions = {
  readonly protocol: number
  /** How long one request, one batch, or the next part of a dump may take. */
  readonly timeoutMs?: number
  /** For tests, and for other socket options. */
  readonly open?: (handlers: DatagramHandlers, reads: RawSocketOptions['reads']) => DatagramSocket
}

export type WriteMessage = (writer: MessageWriter) => void

const TIMEOUT_MS = 10_000
const DUMP_ATTEMPTS_MAX = 5
/** Each is one datagram of up to 500 messages; the kernel works on one while the next one waits. */
const BATCHES_OUTSTANDING_MAX = 2

export class NetlinkSocket {
  private readonly requests: Correlator
  /** A socket of their own, which is read in large pieces. */
  private readonly dumps: Correlator
  private dumpTail: Promise<unknown> = Promise.resolve()

  constructor(options: NetlinkSocketOptions) {
    const { protocol, timeoutMs = TIMEOUT_MS } = options
    const open = options.open ?? ((handlers, reads) => openRawSocket({ protocol, reads }, handlers))
    this.requests = new Correlator({ timeoutMs, open: (handlers) => open(handlers, 'exact') })
    this.dumps = new Correlator({ timeoutMs, open: (handlers) => open(handlers, 'large') })
    this.requests.open()
  }

  /** The address that our requests come from; another one after the socket had to be opened again. */
  get port(): number {
    return this.requests.port
  }

  /** One request with its ack; a refusal is an answer, not an exception. */
  request<T>(
    operation: string,
    write: WriteMessage,
    decode: (message: NetlinkMessage) => T,
  ): Promise<Answer<T>> {
    return exchange(this.requests, { operation, write, ack: true, decode })
  }

  /** All objects of one dump; throws KernelError rather than give some of them. */
  dump<T>(
    operation: string,
    write: WriteMessage,
    decode: (message: NetlinkMessage) => T,
  ): Promise<readonly T[]> {
    const turn = this.dumpTail.then(() => this.dumpWithRetries(operation, write, decode))
    this.dumpTail = turn.catch(() => undefined)
    return turn
  }

  /** Sends `count` messages in order; one entry per message, undefined where the kernel took it. */
  async batch(
    operation: string,
    count: number,
    write: (writer: MessageWriter, index: number) => void,
  ): Promise<readonly (NetlinkFailure | undefined)[]> {
    const failures = emptyFailures(count)
    const outstanding: Promise<void>[] = []
    for (const batch of packBatches(count, write)) {
      if (outstanding.length >= BATCHES_OUTSTANDING_MAX) await outstanding.shift()
      outstanding.push(
        this.sendBatch(operation, batch).then((answers) => {
          answers.forEach((failure, i) => {
            failures[batch.first + i] = failure
          })
        }),
      )
    }
    await Promise.all(outstanding)
    return failures
  }

  close(): void {
    this.requests.close()
    this.dumps.close()
  }

  private async dumpWithRetries<T>(
    operation: string,
    write: WriteMessage,
    decode: (message: NetlinkMessage) => T,
  ): Promise<readonly T[]> {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS_MAX; attempt++) {
      const { items, failure, interrupted } = await exchange(this.dumps, {
        operation,
        write,
        ack: false,
        decode,
      })
      if (failure !== undefined) throw new KernelError(operation, failure.code, failure.message)
      if (!interrupted) return items
    }
    const message = `the objects changed during each of ${DUMP_ATTEMPTS_MAX} dumps`
    throw new KernelError(operation, 'EINTR', message)
  }

  private sendBatch(
    operation: string,
    batch: Batch,
  ): Promise<readonly (NetlinkFailure | undefined)[]> {
    const firstSequence = this.requests.takeSequences(batch.count)
    stampBatch(batch, firstSequence)
    return new Promise((resolve) => {
      const numbered = { firstSequence, sequenceCount: batch.count }
      this.requests.start(operation, batchExchange(numbered, resolve), batch.bytes)
    })
  }
}

type Request<T> = {
  readonly operation: string
  readonly write: WriteMessage
  readonly ack: boolean
  readonly decode: (message: NetlinkMessage) => T
}

function exchange<T>(correlator: Correlator, request: Request<T>): Promise<Answer<T>> {
  const { operation, write, ack, decode } = request
  const writer = new MessageWriter(Buffer.allocUnsafe(MESSAGE_BYTES_MAX))
  write(writer)
  const firstSequence = correlator.takeSequences(1)
  stampMessage(viewOf(writer.bytes), 0, { sequence: firstSequence, ack })
  return new Promise((resolve) => {
    const answer = answerExchange({ firstSequence, sequenceCount: 1 }, decode, resolve)
    correlator.start(operation, answer, writer.bytes.subarray(0, writer.offset))
  })
}
