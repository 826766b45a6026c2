/** Token buckets by key: so many at once, so many a second. Pure but for what it remembers; the time is handed in. */
export type RateLimit = {
  readonly perSecond: number
  /** How many may come at once. */
  readonly burst: number
}

export type Taken = {
  readonly ok: boolean
  /** How many more are left now. */
  readonly remaining: number
  /** Milliseconds until the next one is. */
  readonly waitMs: number
}

/** Keys that are remembered; who was forgotten begins anew with a full bucket. */
const KEYS_MAX = 10_000

export class TokenBuckets {
  readonly #limit: RateLimit
  readonly #buckets = new Map<string, { tokens: number; at: number }>()

  constructor(limit: RateLimit) {
    this.#limit = limit
  }

  take(key: string, nowMs: number): Taken {
    const { perSecond, burst } = this.#limit
    const held = this.#buckets.get(key)
    const seconds = held === undefined ? 0 : Math.max(0, nowMs - held.at) / 1_000
    const tokens = held === undefined ? burst : Math.min(burst, held.tokens + seconds * perSecond)
    const ok = tokens >= 1
    const left = ok ? tokens - 1 : tokens
    // Put last, so that who was not seen for longest is forgotten first.
    this.#buckets.delete(key)
    if (this.#buckets.size >= KEYS_MAX) this.#forgetOldest()
    this.#buckets.set(key, { tokens: left, at: nowMs })
    return {
      ok,
      remaining: Math.floor(left),
      waitMs: left >= 1 ? 0 : Math.ceil(((1 - left) / perSecond) * 1_000),
    }
  }

  #forgetOldest(): void {
    for (const key of this.#buckets.keys()) {
      this.#buckets.delete(key)
      return
    }
  }
}
