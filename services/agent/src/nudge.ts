/** Nudge: one side says that there is something to do, the other waits for it, for a while. Many nudges are one. */
import type { Clock } from './ports.ts'

export type Nudge = {
  readonly nudge: () => void
  /** True once after one or more nudges. */
  take(): boolean
  /** Until the next nudge, `ms`, or the abort. */
  wait(ms: number, clock: Clock, signal: AbortSignal): Promise<void>
}

/** Why a wait ended, said without the stack that an abort without a reason takes down. */
const NUDGED = 'nudged'

export function createNudge(): Nudge {
  let nudged = false
  let wake: (() => void) | undefined
  return {
    nudge: () => {
      nudged = true
      wake?.()
    },
    take: () => {
      const was = nudged
      nudged = false
      return was
    },
    async wait(ms, clock, signal) {
      if (nudged) return
      // Not AbortSignal.any: one of those per second, all hanging on one signal, is what leaks are made of.
      const stop = new AbortController()
      const end = (): void => stop.abort(NUDGED)
      if (signal.aborted) end()
      signal.addEventListener('abort', end, { once: true })
      wake = end
      await clock.sleep(ms, stop.signal)
      signal.removeEventListener('abort', end)
      wake = undefined
    },
  }
}
