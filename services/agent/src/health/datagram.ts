/** One exchange of datagrams of a probe: bounded by its deadline, and closed whatever happens. */
import { startDeadline } from './deadline.ts'
import { resultOfError } from './failure.ts'
import type { ProbeResult, ProbeTarget } from './probe.ts'
import type { Outcome } from './stream.ts'

export type DatagramTalk = {
  readonly send: Uint8Array
  /** Undefined = not the answer that was waited for. */
  readonly onMessage: (bytes: Buffer) => Outcome | undefined
  readonly onSilence: () => Outcome
}

export function withDatagrams(target: ProbeTarget, talk: DatagramTalk): Promise<ProbeResult> {
  const startedMs = performance.now()
  return new Promise((resolve) => {
    let close = (): void => undefined
    let isOver = false
    const finish = (outcome: Outcome): void => {
      if (isOver) return
      isOver = true
      cancel()
      close()
      const latencyMs = performance.now() - startedMs
      resolve(outcome.is === 'good' ? { ...outcome, latencyMs } : outcome)
    }
    const cancel = startDeadline(target.timeoutMs, () => finish(talk.onSilence()))
    target.dialer.dialUdp(target).then(
      (datagrams) => {
        close = () => datagrams.close()
        if (isOver) return close()
        datagrams.onError((error) => finish(resultOfError(error, false)))
        datagrams.onMessage((bytes) => {
          const outcome = talk.onMessage(Buffer.from(bytes))
          if (outcome !== undefined) finish(outcome)
        })
        datagrams.send(talk.send)
      },
      (error: unknown) => finish(resultOfError(error, false)),
    )
  })
}
