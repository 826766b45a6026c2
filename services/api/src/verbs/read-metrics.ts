/**
 * Metrics of the API as Prometheus' text: what this process did from memory, the fleet from the database. Where that does not
 * answer, `lvsfleet_api_database_up` is 0 and the rest is told all the same. Scrapes at the same time share one reading.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { expositionOf } from '@lvs-fleet/contract'
import {
  fleetFamilies,
  processFamilies,
  runtimeFamilies,
  type MeasuredFleet,
  type MeasuredRuntime,
} from '../status/metric-families.ts'
import { loadEventBounds } from '../store/event-store.ts'
import { loadUnappliedSince } from '../store/state-store.ts'
import { listWebhooks } from '../store/webhook-store.ts'
import { LATENCY_BUCKETS } from './counts.ts'
import type { Deps } from './deps.ts'
import { WAKE } from './event-feed.ts'
import { readHealth } from './read-health.ts'
import { listHosts, type HostView } from './read-hosts.ts'

const PREFIX = 'lvsfleet_api_'
const NANOSECONDS = 1e9

export type MetricsReader = { readonly read: () => Promise<string>; readonly close: () => void }

export function createMetricsReader(deps: Deps): MetricsReader {
  const delay = monitorEventLoopDelay({ resolution: 20 })
  delay.enable()
  let reading: Promise<string> | undefined
  const read = async (): Promise<string> => {
    const fleet = await measureFleet(deps).catch((error: unknown) => {
      deps.log.warn({ err: error }, 'metrics without the database')
      return undefined
    })
    const p99 = delay.percentile(99) / NANOSECONDS
    delay.reset()
    const own = processFamilies(measureProcess(deps, fleet !== undefined))
    return (
      expositionOf([...(fleet === undefined ? [] : fleetFamilies(fleet)), ...own], PREFIX) +
      expositionOf(runtimeFamilies(measureRuntime(p99)), '')
    )
  }
  return {
    read: () => (reading ??= read().finally(() => (reading = undefined))),
    close: () => void delay.disable(),
  }
}

export async function measureFleet(deps: Deps): Promise<MeasuredFleet> {
  const { db } = deps.database
  const hosts = await listHosts(deps, {})
  const since = await loadUnappliedSince(
    db,
    hosts.filter(isBehind).map(({ role, name, report }) => ({
      role,
      name,
      applied: report?.applied ?? null,
    })),
  )
  const nowMs = deps.now().getTime()
  const { lastId } = await loadEventBounds(db)
  return {
    revision: deps.live.snapshot.revision,
    hosts: hosts.map((host) => {
      const { role, name, site, identity, report, conditions, published } = host
      const oldest = since.get(`${role}/${name}`) ?? published.publishedAt
      const lagMs = isBehind(host) ? Math.max(0, nowMs - oldest.getTime()) : 0
      return {
        role,
        name,
        site,
        isEnrolled: identity !== null,
        conditions,
        rejected: report?.rejected?.code ?? null,
        driftCount: report?.driftCount ?? 0,
        failedOpCount: report?.failedOpCount ?? 0,
        checks: report?.health?.counts ?? {},
        lagSeconds: identity === null ? undefined : lagMs / 1_000,
      }
    }),
    realServers: await readHealth(deps, {}),
    eventCount: lastId,
    webhooks: (await listWebhooks(db)).map(
      ({ name, deliveredId, pausedAt, gaveUpAt, attempts }) => ({
        name,
        behind: Math.max(0, lastId - deliveredId),
        isStopped: pausedAt !== null || gaveUpAt !== null,
        attempts,
      }),
    ),
  }
}

function isBehind({ published, report }: HostView): boolean {
  const applied = report?.applied ?? null
  return applied?.epoch !== published.epoch || applied.generation !== published.generation
}

function measureProcess({ counts, events, live, database }: Deps, isDatabaseUp: boolean) {
  const { requests, latencies, deliveries } = counts
  const { totalCount, idleCount, waitingCount, options } = database.pool
  return {
    requests,
    latencies,
    buckets: LATENCY_BUCKETS,
    deliveries,
    followers: events.followers,
    heldPolls: live.waiters.size - live.waiters.sizeOf(WAKE),
    pool: { open: totalCount, idle: idleCount, waiting: waitingCount },
    poolMax: options.max ?? 0,
    isDatabaseUp,
  }
}

function measureRuntime(eventLoopDelaySeconds: number): MeasuredRuntime {
  const { user, system } = process.cpuUsage()
  const { rss, heapUsed } = process.memoryUsage()
  return {
    cpuSeconds: (user + system) / 1e6,
    residentBytes: rss,
    heapBytes: heapUsed,
    startedAtSeconds: Math.round((Date.now() - process.uptime() * 1_000) / 1_000),
    // Not a number while nothing was measured yet.
    eventLoopDelaySeconds: Number.isFinite(eventLoopDelaySeconds) ? eventLoopDelaySeconds : 0,
  }
}
