/**
 * PathSockets without a kernel: what lies behind each mark decides what becomes of a datagram, and a connection ends
 * at a server of the test on the loopback. Waiting for silence takes the test's own time.
 */
import { createSocket, type Socket } from 'node:dgram'
import { connect } from 'node:net'
import type {
  DatagramFate,
  Dial,
  PathSockets,
} from '../../services/agent/src/kernel/path/path-sockets.ts'
import type { Clock } from '../../services/agent/src/ports.ts'

export type Behind = {
  /** Bytes of the largest packet that gets through. */
  readonly carries: number
  /** What becomes of larger ones. */
  readonly otherwise: Exclude<DatagramFate, 'arrived'>
  /** Where TCP connections end; refused where there is none. */
  readonly port?: number
}

export class FakePathSockets implements PathSockets {
  /** By mark; silence behind all others. */
  readonly behind = new Map<number, Behind>()
  readonly sent: { readonly to: Dial; readonly bytes: number; readonly atMs: number }[] = []
  readonly dialled: Dial[] = []
  readonly opened: Pick<Dial, 'mark' | 'source'>[] = []
  private readonly clock: Clock

  constructor(clock: Clock) {
    this.clock = clock
  }

  connect(to: Dial) {
    this.dialled.push(to)
    return connect({ host: '127.0.0.1', port: this.behind.get(to.mark)?.port ?? 1 })
  }

  datagrams({ mark, source }: Pick<Dial, 'mark' | 'source'>): Socket {
    this.opened.push({ mark, source })
    return createSocket('udp4')
  }

  async sendDatagram(to: Dial, bytes: number, timeoutMs: number): Promise<DatagramFate> {
    this.sent.push({ to, bytes, atMs: this.clock.monotonicMs() })
    const behind = this.behind.get(to.mark)
    const fate =
      behind === undefined ? 'silent' : bytes <= behind.carries ? 'arrived' : behind.otherwise
    if (fate === 'silent') await this.clock.sleep(timeoutMs)
    return fate
  }
}
