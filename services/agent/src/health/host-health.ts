/**
 * The health checks of a running agent: the engine with the ways, sockets and scripts of this host. What it finds rides in
 * the next report and stands in `results`, by key of the check, for whoever computes weights; it changes nothing itself.
 */
import type { CheckHealth, CheckWay, HealthEvent, HostPart } from '@lvs-fleet/contract'
import { HEALTH_EVENTS_MAX } from '@lvs-fleet/contract'
import type { Clock, Log, Random } from '../ports.ts'
import type { HostFacts } from '../report.ts'
import { plainDialer } from './dialer.ts'
import { createHealthEngine } from './engine.ts'
import type { Dialer } from './probe.ts'
import { createProber } from './prober.ts'
import { healthReport } from './verdict.ts'

const ROOT_UID = 0

export type HostHealth = {
  readonly results: ReadonlyMap<string, CheckHealth>
  /** A state came into force. */
  readonly onState: (host: HostPart) => void
  /** Runs until `signal` aborts. */
  run(
    into: { readonly facts: HostFacts; readonly onNews: () => void },
    signal: AbortSignal,
  ): Promise<void>
}

export function createHostHealth(deps: {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly scriptFolder: string | undefined
  /** What the last report of an earlier life said. */
  readonly recalled: readonly CheckHealth[]
}): HostHealth {
  const { clock, random, log, scriptFolder, recalled } = deps
  const events: HealthEvent[] = []
  let inForce: HostPart['checks'] = []
  let onNews = (): void => undefined
  const engine = createHealthEngine({
    clock,
    recalled,
    seed: Math.floor(random() * 2 ** 32),
    probe: createProber({
      dialerOf,
      // Loaded with the first ICMP check, since koffi costs memory.
      openPing: async (family) =>
        (await import('../kernel/ping/ping-socket.ts')).openPingSocket(family),
      scripts: { folder: scriptFolder, ownerUid: ROOT_UID },
    }),
    onEvent: (event) => {
      events.push(event)
      if (events.length > HEALTH_EVENTS_MAX) events.shift()
      const { at: _, ...fields } = event
      log(event.to === 'up' ? 'info' : 'warn', 'health changed', fields)
      onNews()
    },
  })
  return {
    results: engine.results,
    onState({ checks }) {
      // A state that changes nothing else keeps the very list.
      if (checks === inForce) return
      inForce = checks
      engine.replace(checks)
    },
    async run(into, signal) {
      onNews = into.onNews
      into.facts.health = () => healthReport(engine.results, events)
      await engine.run(signal)
    },
  }
}

/** Where sockets of other ways are plugged in. */
function dialerOf(way: CheckWay): Dialer | string {
  return way.is === 'direct' ? plainDialer : 'this agent knows no way through IPVS'
}
