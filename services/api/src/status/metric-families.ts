/** What the API measures, as families of metrics: the fleet as it stands, and what this process did. Pure. */
import type { MetricFamily, MetricSample } from '@lvs-fleet/contract'
import { CONDITION_TYPES, type Condition } from './conditions.ts'
import { FLEET_VERDICTS, type FleetVerdict } from './health.ts'

type Labels = Readonly<Record<string, string>>

/** One declared host. */
export type MeasuredHost = {
  readonly role: string
  readonly name: string
  readonly site: string
  readonly isEnrolled: boolean
  readonly conditions: readonly Condition[]
  /** Code of what it refuses; null = nothing. */
  readonly rejected: string | null
  readonly driftCount: number
  readonly failedOpCount: number
  readonly checks: Readonly<Record<string, number>>
  /** Since the oldest published state that is not in its kernel; 0 = none. Undefined = it has no agent. */
  readonly lagSeconds: number | undefined
}

export type MeasuredWebhook = {
  readonly name: string
  readonly behind: number
  readonly isStopped: boolean
  readonly attempts: number
}

export type MeasuredFleet = {
  readonly revision: number
  readonly hosts: readonly MeasuredHost[]
  readonly realServers: readonly { readonly verdict: FleetVerdict }[]
  /** Since the database was made: ids have no gaps. */
  readonly eventCount: number
  readonly webhooks: readonly MeasuredWebhook[]
}

export function fleetFamilies(fleet: MeasuredFleet): MetricFamily[] {
  const { hosts, realServers, webhooks } = fleet
  const directors = hosts.filter(({ role }) => role === 'director')
  const ofEach = <T>(list: readonly T[], labels: (one: T) => Labels, value: (one: T) => number) =>
    list.map((one): MetricSample => ({ labels: labels(one), value: value(one) }))
  const nameOf = ({ name, site }: MeasuredHost) => ({ director: name, site })
  const webhookOf = ({ name }: MeasuredWebhook) => ({ webhook: name })
  const rejections = Map.groupBy(
    hosts.filter(({ rejected }) => rejected !== null),
    ({ rejected }) => rejected ?? '',
  )
  return [
    gauge('revision', 'newest revision of the intent', one(fleet.revision)),
    gauge('hosts', 'hosts that the intent declares, by whether an agent joined', enrolments(hosts)),
    gauge('host_conditions', 'enrolled hosts of which a condition is true', conditions(hosts)),
    gauge(
      'convergence_lag_seconds',
      'since the oldest published state that is not in the kernel of a director; 0 while it has the newest',
      directors.flatMap((host) =>
        host.lagSeconds === undefined ? [] : [{ labels: nameOf(host), value: host.lagSeconds }],
      ),
    ),
    gauge(
      'rejecting_hosts',
      'hosts that refuse what is published, by reason',
      [...rejections].map(([code, list]) => ({ labels: { code }, value: list.length })),
    ),
    counter(
      'drift_repairs_total',
      'repairs of what changed behind the agent of a director, as it reports them',
      ofEach(directors, nameOf, ({ driftCount }) => driftCount),
    ),
    gauge(
      'director_failed_ops',
      'operations that the kernel of a director did not take',
      ofEach(directors, nameOf, ({ failedOpCount }) => failedOpCount),
    ),
    gauge(
      'director_checks',
      'health checks of a director by state',
      directors.flatMap((host) =>
        Object.entries(host.checks).map(([state, value]) => ({
          labels: { ...nameOf(host), state },
          value,
        })),
      ),
    ),
    gauge(
      'real_servers',
      'checked real servers and what is asked of them, by what all directors together say',
      FLEET_VERDICTS.map((verdict) => ({
        labels: { verdict },
        value: realServers.filter((server) => server.verdict === verdict).length,
      })),
    ),
    counter('events_total', 'events of the fleet', one(fleet.eventCount)),
    gauge(
      'webhook_behind_events',
      'events after the last that a webhook took, whether or not they are for it',
      ofEach(webhooks, webhookOf, ({ behind }) => behind),
    ),
    gauge(
      'webhook_attempts',
      'attempts at the event that a webhook does not take',
      ofEach(webhooks, webhookOf, ({ attempts }) => attempts),
    ),
    gauge(
      'webhook_stopped',
      '1 while a webhook is paused or was given up',
      ofEach(webhooks, webhookOf, ({ isStopped }) => (isStopped ? 1 : 0)),
    ),
  ]
}

export type MeasuredProcess = {
  readonly requests: readonly {
    readonly method: string
    readonly route: string
    readonly status: string
    readonly count: number
  }[]
  readonly latencies: readonly {
    readonly method: string
    readonly route: string
    readonly counts: readonly number[]
    readonly sumSeconds: number
  }[]
  readonly buckets: readonly number[]
  readonly deliveries: Readonly<Record<string, number>>
  readonly followers: number
  readonly heldPolls: number
  /** Connections to the database. */
  readonly pool: { readonly open: number; readonly idle: number; readonly waiting: number }
  readonly poolMax: number
  readonly isDatabaseUp: boolean
}

export function processFamilies(process: MeasuredProcess): MetricFamily[] {
  const { requests, latencies, deliveries, pool, buckets } = process
  return [
    counter(
      'requests_total',
      'requests by route and class of status',
      requests.map(({ method, route, status, count }) => ({
        labels: { method, route, status },
        value: count,
      })),
    ),
    {
      name: 'request_duration_seconds',
      help: 'until an answer began; requests that are held open on purpose and idle polls are not in it',
      type: 'histogram',
      samples: latencies.flatMap((latency) => histogram(latency, buckets)),
    },
    counter(
      'webhook_deliveries_total',
      'attempts to deliver an event, by outcome',
      Object.entries(deliveries).map(([outcome, value]) => ({ labels: { outcome }, value })),
    ),
    gauge('event_followers', 'streams and polls held open for events', one(process.followers)),
    gauge('held_polls', 'everything that waits to be woken', one(process.heldPolls)),
    gauge('database_up', '1 while the database answers', one(process.isDatabaseUp ? 1 : 0)),
    gauge('database_connections', 'connections to the database', [
      { labels: { state: 'busy' }, value: pool.open - pool.idle },
      { labels: { state: 'idle' }, value: pool.idle },
    ]),
    gauge('database_connections_max', 'as many are opened at most', one(process.poolMax)),
    gauge('database_waiting', 'queries that wait for a connection', one(pool.waiting)),
  ]
}

export type MeasuredRuntime = {
  readonly cpuSeconds: number
  readonly residentBytes: number
  readonly heapBytes: number
  readonly startedAtSeconds: number
  readonly eventLoopDelaySeconds: number
}

/** Names that every exporter uses, without a prefix of ours. */
export function runtimeFamilies(runtime: MeasuredRuntime): MetricFamily[] {
  return [
    counter('process_cpu_seconds_total', 'CPU time of this process', one(runtime.cpuSeconds)),
    gauge('process_resident_memory_bytes', 'resident memory', one(runtime.residentBytes)),
    gauge('process_start_time_seconds', 'since 1970', one(runtime.startedAtSeconds)),
    gauge('nodejs_heap_used_bytes', 'JavaScript heap in use', one(runtime.heapBytes)),
    gauge(
      'nodejs_eventloop_delay_p99_seconds',
      'how late timers were since the last scrape, 99th percentile',
      one(runtime.eventLoopDelaySeconds),
    ),
  ]
}

function enrolments(hosts: readonly MeasuredHost[]): MetricSample[] {
  const groups = Map.groupBy(hosts, ({ role, isEnrolled }) => `${role} ${isEnrolled}`)
  return [...groups.values()].flatMap((list) => {
    const [first] = list
    if (first === undefined) return []
    const labels = { role: first.role, enrolled: String(first.isEnrolled) }
    return [{ labels, value: list.length }]
  })
}

/** Each role has each condition, so that 0 is said and not left out. */
function conditions(hosts: readonly MeasuredHost[]): MetricSample[] {
  const byRole = Map.groupBy(hosts, ({ role }) => role)
  return [...byRole].flatMap(([role, list]) =>
    CONDITION_TYPES.map((condition) => ({
      labels: { role, condition },
      value: list.filter(
        (host) =>
          host.isEnrolled &&
          host.conditions.some(({ type, status }) => type === condition && status),
      ).length,
    })),
  )
}

function histogram(
  latency: MeasuredProcess['latencies'][number],
  buckets: readonly number[],
): MetricSample[] {
  const { method, route, counts, sumSeconds } = latency
  const labels = { method, route }
  let total = 0
  const samples = counts.map((count, i): MetricSample => {
    total += count
    const le = buckets[i] === undefined ? '+Inf' : String(buckets[i])
    return { suffix: '_bucket', labels: { ...labels, le }, value: total }
  })
  return [
    ...samples,
    { suffix: '_sum', labels, value: sumSeconds },
    { suffix: '_count', labels, value: total },
  ]
}

function one(value: number): MetricSample[] {
  return [{ labels: {}, value }]
}

function gauge(name: string, help: string, samples: readonly MetricSample[]): MetricFamily {
  return { name, help, type: 'gauge', samples }
}

function counter(name: string, help: string, samples: readonly MetricSample[]): MetricFamily {
  return { name, help, type: 'counter', samples }
}
