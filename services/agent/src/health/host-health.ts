/**
 * The health checks of a running agent: the engine with the ways, sockets and scripts of this host. What it finds rides in
 * the next report, and is asked by whoever computes weights; it changes nothing itself.
 */
import {
  HEALTH_EVENTS_MAX,
  healthOf,
  type CheckHealth,
  type HealthEvent,
  type HostPart,
} from '@lvs-fleet/contract'
import type { PathSockets } from '../kernel/path/path-sockets.ts'
import type { Clock, Log, Random } from '../ports.ts'
import type { HostFacts } from '../report.ts'
import type { Health, HealthSource } from '../weigh/health.ts'
import { createHealthEngine } from './engine.ts'
import type { Prober } from './probe.ts'
import { healthReport } from './verdict.ts'

export type HostHealth = HealthSource & {
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
  /** Undefined where there are no marked sockets: then no check goes through a path. */
  readonly openPathSockets?: (() => Promise<PathSockets>) | undefined
}): HostHealth {
  const { clock, random, log, scriptFolder, recalled, openPathSockets } = deps
  const events: HealthEvent[] = []
  /** Boot clock, ms, of each check's last change. */
  const changedMs = new Map<string, number>()
  const changed = new Set<string>()
  const startedMs = clock.monotonicMs()
  let inForce: HostPart['checks'] = []
  let onNews = (): void => undefined
  let onChange = (): void => undefined

  // With the first check: a host is programmed before anything is probed.
  let prober: Promise<Prober> | undefined
  const probe: Prober = async (check, as) => {
    prober ??= import('./host-prober.ts').then(({ createHostProber }) =>
      createHostProber({ scriptFolder, openPathSockets }),
    )
    return (await prober)(check, as)
  }
  const engine = createHealthEngine({
    clock,
    recalled,
    seed: Math.floor(random() * 2 ** 32),
    probe,
    onEvent: (event) => {
      events.push(event)
      if (events.length > HEALTH_EVENTS_MAX) events.shift()
      const { at: _, ...fields } = event
      log(event.to === 'up' ? 'info' : 'warn', 'health changed', fields)
      changedMs.set(event.key, clock.monotonicMs())
      changed.add(event.realServer)
      onNews()
      onChange()
    },
  })
  return {
    healthOf(destination) {
      const health = healthOf(destination, engine.results)
      return health && verdictOf(health, changedMs.get(health.key) ?? startedMs)
    },
    get hasChanged() {
      return changed.size > 0
    },
    takeChanged() {
      const taken = new Set(changed)
      changed.clear()
      return taken
    },
    subscribe(listener) {
      onChange = listener
    },
    onState({ checks }) {
      // A state that changes nothing else keeps the very list.
      if (checks === inForce) return
      inForce = checks
      engine.replace(checks)
      for (const key of changedMs.keys()) if (!engine.results.has(key)) changedMs.delete(key)
    },
    async run(into, signal) {
      onNews = into.onNews
      into.facts.health = () => healthReport(engine.results, events)
      await engine.run(signal)
    },
  }
}

/** One that must prove itself first gets nobody. */
function verdictOf(health: CheckHealth, sinceMs: number): Health {
  const state = health.state === 'held' ? 'down' : health.state
  const said = { state, sinceMs, why: health.detail }
  return health.class === null ? said : { ...said, class: health.class }
}
