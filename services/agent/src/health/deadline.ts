/**
 * A deadline that tells a silent server from a busy director. When the event loop was blocked (a large state is being
 * programmed), answers lie unread in the kernel although the time is over: then they get as long again to be read.
 */

/** Timers of an idle loop are late by less. */
const BUSY_MS = 20

/** Never keeps a process alive that wants to end. Calls `expire` once after `ms`, unless the returned function is called before. */
export function startDeadline(ms: number, expire: () => void): () => void {
  const dueMs = performance.now() + ms
  let timer = setTimeout(() => {
    const lateMs = performance.now() - dueMs
    if (lateMs < BUSY_MS) expire()
    else timer = setTimeout(expire, Math.min(lateMs, ms)).unref()
  }, ms)
  timer.unref()
  return () => clearTimeout(timer)
}
