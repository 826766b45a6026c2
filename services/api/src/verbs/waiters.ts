/** Polls that are held open until their host's state changes, or their time is over, or they are gone. */
export class Waiters {
  readonly #waiting = new Map<string, Set<() => void>>()
  #closed = false

  /** Resolves when `key` is woken, after `timeoutMs`, on abort, and at once while the process drains. */
  wait(key: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#closed || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const set = this.#waiting.get(key) ?? new Set()
      this.#waiting.set(key, set)
      const finish = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', finish)
        set.delete(finish)
        if (set.size === 0 && this.#waiting.get(key) === set) this.#waiting.delete(key)
        resolve()
      }
      const timer = setTimeout(finish, timeoutMs)
      signal.addEventListener('abort', finish, { once: true })
      set.add(finish)
    })
  }

  wake(key: string): void {
    // Each takes itself out of the set, which iteration of a Set allows.
    for (const finish of this.#waiting.get(key) ?? []) finish()
  }

  /** Answers everybody, and nobody waits from now on. */
  close(): void {
    this.#closed = true
    for (const key of this.#waiting.keys()) this.wake(key)
  }

  get isClosed(): boolean {
    return this.#closed
  }

  get size(): number {
    let size = 0
    for (const set of this.#waiting.values()) size += set.size
    return size
  }

  /** How many wait for `key`. */
  sizeOf(key: string): number {
    return this.#waiting.get(key)?.size ?? 0
  }
}
