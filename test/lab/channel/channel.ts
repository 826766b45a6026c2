// One end of the control channel, the same code on the host and in the guest: requests with answers
// and a deadline, one-way events, and relayed TCP connections as ordinary Duplex streams.
// A stream has a window, so that a slow reader holds up its own connection and no other.
import { Duplex } from 'node:stream'
import { encodeFrame, FRAME, type Frame, FrameDecoder } from './frame.ts'

/** Where the bytes go. `close` is final; nothing may be sent after it. */
export type Wire = {
  send(bytes: Buffer): void
  close(): void
}

export type ChannelHandlers = {
  /** Answers requests of the other side. */
  readonly request?: (op: string, args: unknown) => unknown
  readonly event?: (name: string, args: unknown) => void
  /** Takes a connection that the other side opened. Only one of the two sides may open any. */
  readonly connection?: (stream: ChannelStream) => void
  /** The other side has read as many bytes of the line itself; see PacedWire. */
  readonly lineRead?: (count: number) => void
}

type Message =
  | { readonly id: number; readonly op: string; readonly args: unknown }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string }
  | { readonly event: string; readonly args: unknown }

type Pending = {
  readonly op: string
  readonly timer: NodeJS.Timeout
  resolve(value: unknown): void
  reject(error: Error): void
}

export class Channel {
  private readonly decoder = new FrameDecoder()
  private readonly pending = new Map<number, Pending>()
  private readonly streams = new Map<number, ChannelStream>()
  private readonly wire: Wire
  private readonly handlers: ChannelHandlers
  private nextId = 1
  private closed: Error | undefined

  constructor(wire: Wire, handlers: ChannelHandlers = {}) {
    this.wire = wire
    this.handlers = handlers
  }

  /** Takes bytes that arrived. */
  receive(bytes: Buffer): void {
    for (const frame of this.decoder.push(bytes)) this.dispatch(frame)
  }

  /** Ends everything that waits on the other side. */
  fail(reason: string): void {
    if (this.closed) return
    this.closed = new Error(reason)
    for (const waiting of this.pending.values()) {
      clearTimeout(waiting.timer)
      waiting.reject(new Error(`${waiting.op}: ${reason}`))
    }
    this.pending.clear()
    for (const stream of this.streams.values()) stream.destroy()
    this.streams.clear()
    this.wire.close()
  }

  request(op: string, args: unknown, timeoutMs: number): Promise<unknown> {
    const closed = this.closed
    if (closed) return Promise.reject(new Error(`${op}: ${closed.message}`))
    const id = this.nextId++
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.pending.delete(id)
        reject(new Error(`${op}: no answer from the lab guest within ${timeoutMs} ms`))
      }, timeoutMs)
      this.pending.set(id, { op, timer, resolve, reject })
      this.message({ id, op, args })
    })
  }

  event(event: string, args: unknown): void {
    if (!this.closed) this.message({ event, args })
  }

  /** Opens a connection; the other side gets it through its `connection` handler. */
  open(): ChannelStream {
    const stream = this.addStream(this.nextId++)
    this.frame(FRAME.OPEN, stream.id)
    return stream
  }

  /** For ChannelStream only. */
  frame(kind: number, stream: number, payload?: Uint8Array): void {
    if (!this.closed) this.wire.send(encodeFrame(kind, stream, payload))
  }

  /** Allows the other side as many more bytes on a stream; 0 is the line itself. */
  credit(stream: number, count: number): void {
    const payload = Buffer.alloc(4)
    payload.writeUInt32LE(count)
    this.frame(FRAME.CREDIT, stream, payload)
  }

  /** For ChannelStream only. */
  forget(id: number): void {
    this.streams.delete(id)
  }

  /** Resets every relayed connection, as a server that dies does. */
  resetStreams(): void {
    for (const stream of this.streams.values()) stream.destroy()
  }

  private message(message: Message): void {
    this.frame(FRAME.MESSAGE, 0, Buffer.from(JSON.stringify(message)))
  }

  private addStream(id: number): ChannelStream {
    const stream = new ChannelStream(this, id)
    this.streams.set(id, stream)
    return stream
  }

  private dispatch(frame: Frame): void {
    if (frame.kind === FRAME.MESSAGE) {
      this.onMessage(JSON.parse(frame.payload.toString()) as Message)
    } else if (frame.kind === FRAME.OPEN) {
      const stream = this.addStream(frame.stream)
      if (this.handlers.connection) this.handlers.connection(stream)
      else stream.destroy()
    } else if (frame.kind === FRAME.CREDIT && frame.stream === 0) {
      this.handlers.lineRead?.(frame.payload.readUInt32LE(0))
    } else {
      this.streams.get(frame.stream)?.onFrame(frame)
    }
  }

  private onMessage(message: Message): void {
    if ('op' in message) {
      void this.answer(message.id, message.op, message.args)
    } else if ('event' in message) {
      this.handlers.event?.(message.event, message.args)
    } else {
      const waiting = this.pending.get(message.id)
      if (!waiting) return
      this.pending.delete(message.id)
      clearTimeout(waiting.timer)
      if ('error' in message) waiting.reject(new Error(message.error))
      else waiting.resolve(message.result)
    }
  }

  private async answer(id: number, op: string, args: unknown): Promise<void> {
    try {
      if (!this.handlers.request) throw new Error(`nobody here answers ${op}`)
      this.message({ id, result: (await this.handlers.request(op, args)) ?? null })
    } catch (error) {
      this.message({ id, error: error instanceof Error ? error.message : String(error) })
    }
  }
}

const WINDOW = 1024 * 1024
const CHUNK = 32 * 1024

/** A relayed connection. Destroying it resets the other side; ending it half-closes. */
export class ChannelStream extends Duplex {
  readonly id: number
  private readonly channel: Channel
  private credit = WINDOW
  private taken = 0
  private waiting: (() => void) | undefined

  constructor(channel: Channel, id: number) {
    super({ allowHalfOpen: true, emitClose: true })
    this.channel = channel
    this.id = id
  }

  /** For Channel only. */
  onFrame(frame: Frame): void {
    if (frame.kind === FRAME.DATA) {
      this.push(frame.payload)
      this.grant(frame.payload.length)
    } else if (frame.kind === FRAME.END) {
      this.push(null)
    } else if (frame.kind === FRAME.CREDIT) {
      this.credit += frame.payload.readUInt32LE(0)
      const resume = this.waiting
      this.waiting = undefined
      resume?.()
    } else if (frame.kind === FRAME.RESET) {
      this.channel.forget(this.id)
      this.destroy()
    }
  }

  override _read(): void {
    this.grant(0)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    if (chunk.length === 0) return done()
    if (this.credit === 0) {
      this.waiting = () => this._write(chunk, _encoding, done)
      return
    }
    const size = Math.min(this.credit, CHUNK, chunk.length)
    this.credit -= size
    this.channel.frame(FRAME.DATA, this.id, chunk.subarray(0, size))
    if (size === chunk.length) done()
    else this._write(chunk.subarray(size), _encoding, done)
  }

  override _final(done: () => void): void {
    this.channel.frame(FRAME.END, this.id)
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const ended = this.readableEnded && this.writableFinished
    if (!ended) this.channel.frame(FRAME.RESET, this.id)
    this.channel.forget(this.id)
    done(error)
  }

  /** Gives the window back only for what the reader took out of the buffer. */
  private grant(arrived: number): void {
    this.taken += arrived
    const free = this.taken - this.readableLength
    if (free < WINDOW / 4) return
    this.taken -= free
    this.channel.credit(this.id, free)
  }
}
