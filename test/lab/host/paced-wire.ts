// Sends no more than a window of bytes that the guest has not yet read. User-Mode Linux' serial line
// stops for good when more than the 4096 bytes of its terminal buffer arrive before they are read.
import type { Wire } from '../channel/channel.ts'

export class PacedWire implements Wire {
  private readonly wire: Wire
  private readonly window: number
  private queue: Buffer[] = []
  private unread = 0

  constructor(wire: Wire, window: number) {
    this.wire = wire
    this.window = window
  }

  send(bytes: Buffer): void {
    this.queue.push(bytes)
    this.flush()
  }

  /** The guest has read as many bytes. */
  read(count: number): void {
    this.unread -= count
    this.flush()
  }

  close(): void {
    this.queue = []
    this.wire.close()
  }

  private flush(): void {
    while (this.unread < this.window) {
      const bytes = this.queue.shift()
      if (!bytes) return
      const now = bytes.subarray(0, this.window - this.unread)
      if (now.length < bytes.length) this.queue.unshift(bytes.subarray(now.length))
      this.unread += now.length
      this.wire.send(now)
    }
  }
}
