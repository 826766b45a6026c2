/** Time that passes only when a test says so. Sleeps resolve when time has gone far enough. */
import type { Clock } from '../../services/agent/src/ports.ts'

export type FakeClock = Clock & {
  /** Both clocks go on together. */
  advance(ms: number): void
  /** Only the wall clock: NTP, or an operator. */
  jumpWall(ms: number): void
}

export function createFakeClock(): FakeClock {
  let wall = Date.parse('2026-11-23T12:00:00Z')
  let monotonic = 1_000_000
  const sleepers = new Set<{ readonly until: number; readonly wake: () => void }>()
  return {
    wallMs: () => wall,
    monotonicMs: () => monotonic,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        const sleeper = {
          until: monotonic + ms,
          wake: () => {
            sleepers.delete(sleeper)
            resolve()
          },
        }
        sleepers.add(sleeper)
        if (signal?.aborted === true) sleeper.wake()
        signal?.addEventListener('abort', sleeper.wake, { once: true })
      }),
    advance(ms) {
      wall += ms
      monotonic += ms
      for (const sleeper of sleepers) if (sleeper.until <= monotonic) sleeper.wake()
    },
    jumpWall(ms) {
      wall += ms
    },
  }
}
