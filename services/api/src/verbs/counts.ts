/** What this process did since it started, for metrics: requests by route and how long they took, deliveries of webhooks. */

/** Upper bounds, seconds: an idle poll is quick, a published fleet is not. */
export const LATENCY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const

export type RouteCount = {
  readonly method: string
  /** The pattern, never the path that was asked for: names would make as many series. */
  readonly route: string
  /** `2xx`. */
  readonly status: string
  readonly count: number
}

export type RouteLatency = {
  readonly method: string
  readonly route: string
  /** One for each bucket, and what was above them all; not yet summed up. */
  readonly counts: readonly number[]
  readonly sumSeconds: number
}

export class Counts {
  readonly #requests = new Map<string, { -readonly [K in keyof RouteCount]: RouteCount[K] }>()
  readonly #latencies = new Map<
    string,
    { method: string; route: string; counts: number[]; sumSeconds: number }
  >()
  readonly #deliveries = { taken: 0, failed: 0 }
  #idlePolls = 0

  /** Nine in ten requests of a fleet, so it is one addition. */
  countIdlePoll(): void {
    this.#idlePolls++
  }

  /** `seconds` undefined: held open on purpose, so its time says nothing. */
  countRequest(
    request: Pick<RouteCount, 'method' | 'route'> & { readonly status: number },
    seconds: number | undefined,
  ): void {
    const { method, route } = request
    const status = `${Math.floor(request.status / 100)}xx`
    const key = `${method} ${route} ${status}`
    const counted = this.#requests.get(key) ?? { method, route, status, count: 0 }
    counted.count++
    this.#requests.set(key, counted)
    if (seconds === undefined) return
    const name = `${method} ${route}`
    const latency = this.#latencies.get(name) ?? {
      method,
      route,
      counts: Array.from({ length: LATENCY_BUCKETS.length + 1 }, () => 0),
      sumSeconds: 0,
    }
    const found = LATENCY_BUCKETS.findIndex((bound) => seconds <= bound)
    const bucket = found < 0 ? LATENCY_BUCKETS.length : found
    latency.counts[bucket] = (latency.counts[bucket] ?? 0) + 1
    latency.sumSeconds += seconds
    this.#latencies.set(name, latency)
  }

  countDelivery(outcome: 'taken' | 'failed'): void {
    this.#deliveries[outcome]++
  }

  get requests(): readonly RouteCount[] {
    const idle = { method: 'GET', route: '/v1/agent/state', status: '3xx' }
    const key = 'GET /v1/agent/state 3xx'
    const others = [...this.#requests].filter(([name]) => name !== key).map(([, one]) => one)
    const count = (this.#requests.get(key)?.count ?? 0) + this.#idlePolls
    return count === 0 ? others : [...others, { ...idle, count }]
  }

  get latencies(): readonly RouteLatency[] {
    return [...this.#latencies.values()]
  }

  get deliveries(): Readonly<Record<'taken' | 'failed', number>> {
    return this.#deliveries
  }
}
