/** The health engine as it ships, with as many checks of one kind as asked: how many probes it made in a stretch of time, and what they cost. */
import { ip, type CheckProbe, type CheckState } from '@lvs-fleet/contract'
import { plainDialer } from '../services/agent/src/health/dialer.ts'
import { createHealthEngine } from '../services/agent/src/health/engine.ts'
import { createProber } from '../services/agent/src/health/prober.ts'
import { createMemoryRelease, v8Heap } from '../services/agent/src/release-memory.ts'
import { systemClock } from '../services/agent/src/system.ts'

export type ChecksOrder = {
  readonly port: number
  /** Each check its own address of 127.1.0.0/16, or all 127.0.0.1. */
  readonly ownAddresses: boolean
  readonly probe: CheckProbe
  readonly count: number
  readonly intervalMs: number
  readonly settleMs: number
  readonly ms: number
}
export type ChecksResult = {
  readonly probesPerSecond: number
  /** Share of one core. */
  readonly cpu: number
  readonly rssMb: number
  /** Before the first check. */
  readonly idleRssMb: number
  readonly up: number
}

export async function measureChecks(order: ChecksOrder): Promise<ChecksResult> {
  const stop = new AbortController()
  const ask = createProber({
    dialerOf: () => plainDialer,
    openPing: async () => 'ENOSYS',
    scripts: { folder: undefined, ownerUid: 0 },
  })
  let probes = 0
  const engine = createHealthEngine({
    clock: systemClock,
    seed: 1,
    probe: (check, way) => {
      probes++
      return ask(check, way)
    },
    onEvent: () => {},
  })
  // As the agent does it, every second.
  const release = createMemoryRelease(v8Heap)
  release()
  const releasing = setInterval(release, 1_000)
  stop.signal.addEventListener('abort', () => clearInterval(releasing))
  const idleRssMb = rssMb()
  engine.replace(Array.from({ length: order.count }, (_, i) => checkOf(order, i)))
  const running = engine.run(stop.signal)
  await systemClock.sleep(order.settleMs)
  probes = 0
  const startedMs = performance.now()
  const before = process.cpuUsage()
  await systemClock.sleep(order.ms)
  const { user, system } = process.cpuUsage(before)
  const tookMs = performance.now() - startedMs
  const up = [...engine.results.values()].filter(({ state }) => state === 'up').length
  stop.abort()
  await running
  return {
    probesPerSecond: (probes / tookMs) * 1_000,
    cpu: (user + system) / 1_000 / tookMs,
    rssMb: rssMb(),
    idleRssMb,
    up,
  }
}

function checkOf({ port, probe, intervalMs, ownAddresses }: ChecksOrder, i: number): CheckState {
  return {
    key: `check-${i}`,
    probe,
    realServer: `rs-${i}`,
    address: ip(ownAddresses ? checkedAddress(i) : '127.0.0.1'),
    port,
    way: { is: 'direct' },
    intervalMs,
    downIntervalMs: intervalMs,
    jitterPercent: 10,
    timeoutMs: intervalMs,
    rise: 2,
    fall: 3,
    graceMs: 0,
    damping: null,
  }
}

/** The address of check number `i`. */
export function checkedAddress(i: number): string {
  return `127.1.${Math.floor(i / 254)}.${(i % 254) + 1}`
}

function rssMb(): number {
  return process.memoryUsage.rss() / 1_048_576
}
