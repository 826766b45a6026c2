/**
 * One connection of a probe: dialled, wrapped in TLS where asked, bounded by one deadline from the first packet to the
 * last byte, and closed whatever happens. What is said over it is the caller's.
 */
import type { CheckTls } from '@lvs-fleet/contract'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { startDeadline } from './deadline.ts'
import { bad, resultOfError } from './failure.ts'
import type { ProbeResult, ProbeTarget } from './probe.ts'
import { secureContext } from './tls-context.ts'

/** A result without the latency, which the stream measures. */
export type Outcome = Exclude<ProbeResult, { is: 'good' }> | { is: 'good'; detail: string }

export type Talk = {
  readonly socket: Socket
  /** Null without TLS. */
  readonly secured: TLSSocket | null
  /** The first call counts, and closes the connection. */
  readonly finish: (outcome: Outcome) => void
}

export type StreamOptions = {
  readonly tls: CheckTls | null
  /** What is offered in ALPN. */
  readonly protocols?: readonly string[]
}

/** Opens, lets `talk` wire up its listeners, and waits for `finish`, an error, the end or the deadline. */
export function withStream(
  target: ProbeTarget,
  options: StreamOptions,
  talk: (over: Talk) => void,
): Promise<ProbeResult> {
  const { timeoutMs } = target
  const startedMs = performance.now()
  return new Promise((resolve) => {
    const opened: Socket[] = []
    let isOver = false
    /** Bytes of an answer are here: TLS's own count, since they came by the same way. */
    const heard = (): boolean => opened.some((socket) => socket.bytesRead > 0)
    const finish = (outcome: Outcome): void => {
      if (isOver) return
      isOver = true
      cancel()
      closeOutermost(opened)
      const latencyMs = performance.now() - startedMs
      resolve(outcome.is === 'good' ? { ...outcome, latencyMs } : outcome)
    }
    const cancel = startDeadline(timeoutMs, () => {
      finish(bad('silent', `${heard() ? 'no whole answer' : 'no answer'} within ${timeoutMs} ms`))
    })
    /** False when it comes too late. */
    const hold = (socket: Socket): boolean => {
      opened.push(socket.unref())
      // Also after the end: an error that nobody listens to would end the agent.
      socket.on('error', (error) => finish(resultOfError(error, heard())))
      if (isOver) socket.destroy()
      return !isOver
    }
    const start = async (): Promise<void> => {
      const context = options.tls === null ? undefined : await secureContext(options.tls)
      const socket = await target.dialer.dialTcp(target)
      if (!hold(socket)) return
      const listen = (secured: TLSSocket | null): void => {
        const over = secured ?? socket
        over.once('close', () => finish(bad('refused', 'closed without an answer')))
        talk({ socket: over, secured, finish })
      }
      if (options.tls === null) return listen(null)
      const { serverName, verify } = options.tls
      const secured = process.getBuiltinModule('node:tls').connect({
        socket,
        host: target.address,
        rejectUnauthorized: verify,
        ...(context === undefined ? {} : { secureContext: context }),
        ...(serverName === null ? {} : { servername: serverName }),
        ...(options.protocols === undefined ? {} : { ALPNProtocols: [...options.protocols] }),
      })
      hold(secured)
      secured.once('close', () => finish(bad('refused', 'closed within the TLS handshake')))
      secured.once('secureConnect', () => listen(secured))
    }
    start().catch((error: unknown) => finish(resultOfError(error, false)))
  })
}

/**
 * The outer socket takes the inner one with it. Not at once: a TLS socket that is destroyed, or whose inner one is,
 * within its own callback (secureConnect, error) makes Node 24 die of a segmentation fault.
 */
function closeOutermost(opened: readonly Socket[]): void {
  const socket = opened.at(-1)
  if (opened.length > 1) setImmediate(() => socket?.destroy())
  else socket?.destroy()
}
