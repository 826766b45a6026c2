/**
 * Waits for what happens in its own time: asks again until the answer passes, and fails with the last complaint.
 * Patient by default: an emulated kernel on a busy machine is slow, and that is no fault.
 */
import { setTimeout as sleep } from 'node:timers/promises'

export async function eventually<T>(
  check: () => Promise<T>,
  { withinMs = 30_000, everyMs = 100 } = {},
): Promise<T> {
  const deadline = Date.now() + withinMs
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (Date.now() > deadline) throw error
    }
    await sleep(everyMs)
  }
}
