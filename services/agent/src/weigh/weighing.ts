/**
 * Weighing as the agent runs it: stands between a state and what is planned for. What intent says of a service goes in,
 * the same service with effective weights comes out, so that planning, drift and dry runs know of one weight only.
 * Holds what is remembered of services that are not as intent says; no I/O, and no clock but the one that it is given.
 */
import type { ServiceState, WeighedDestination, WeightChanges } from '@lvs-fleet/contract'
import type { Clock } from '../ports.ts'
import type { InForce, ServiceChange, StateChange } from '../state/candidate.ts'
import type { Health, HealthOf, HealthSource } from './health.ts'
import { WHOLE } from './level-shares.ts'
import type { Now } from './member.ts'
import { weigh, type Memory, type Weighed } from './weigh.ts'
import { WeightChangeLog, type WeighedChange } from './weight-changes.ts'

/** A service whose weights may differ from intent, or may come to. */
type Tracked = {
  readonly intent: ServiceState
  readonly memory: Memory
  readonly otherCount: number
  readonly nextMs: number | null
  /** When it was weighed, and what was heard by then. */
  readonly at: Now
  readonly contactMs: number | undefined
}

export type Explained = { readonly list: WeighedDestination[]; readonly count: number }

export class Weighing {
  private readonly inForce: Pick<InForce, 'host' | 'services'>
  private readonly clock: Pick<Clock, 'monotonicMs' | 'wallMs'>
  private readonly health: HealthSource | undefined
  /** Of a life before this one, until it is used. */
  private readonly remembered: Map<string, Memory>
  private readonly tracked = new Map<string, Tracked>()
  private readonly changeLog: WeightChangeLog
  private contactMs: number | undefined
  /** What was last explained; undefined once anything was weighed since. */
  private said: Explained | undefined

  constructor(given: {
    readonly inForce: Pick<InForce, 'host' | 'services'>
    readonly clock: Pick<Clock, 'monotonicMs' | 'wallMs'>
    /** Undefined where nobody checks, as in commands that an operator runs: then what is remembered stays. */
    readonly health: HealthSource | undefined
    readonly remembered: ReadonlyMap<string, Memory>
  }) {
    this.inForce = given.inForce
    this.clock = given.clock
    this.health = given.health
    this.remembered = new Map(given.remembered)
    this.changeLog = new WeightChangeLog(given.clock.wallMs())
  }

  /** The control plane answered, whatever it said. */
  noteContact(): void {
    this.contactMs = this.clock.monotonicMs()
  }

  /** A change of intent as a change of what is to be in the kernel. */
  admit(change: StateChange): StateChange {
    const services = new Map<string, ServiceChange>()
    const changes: WeighedChange[] = []
    const now = this.now()
    for (const [key, { after }] of change.services) {
      const before = this.inForce.services.get(key)
      if (after === undefined) {
        this.tracked.delete(key)
        this.said = undefined
        services.set(key, { before, after })
        continue
      }
      const intentBefore = this.tracked.get(key)?.intent ?? before
      const { service, explain } = this.weighOne(key, after, now)
      services.set(key, { before, after: service })
      if (before === undefined || intentBefore === undefined) continue
      // Plain before and after, as most are: all that changed is intent.
      if (before === intentBefore && service === after) continue
      changes.push({ before, after: service, intentBefore, intentAfter: after, explain })
    }
    this.changeLog.note(changes, now.wallMs)
    return { ...change, services }
  }

  /** There may be something to take up; cheap, to be asked often. */
  get isDue(): boolean {
    if (this.health?.hasChanged === true) return true
    const nowMs = this.clock.monotonicMs()
    for (const { nextMs } of this.tracked.values()) {
      if (nextMs !== null && nextMs <= nowMs) return true
    }
    return false
  }

  /** What time and health have changed since; undefined = nothing. Services that differ are in force at once. */
  round(): StateChange | undefined {
    const now = this.now()
    const services = new Map<string, ServiceChange>()
    const changes: WeighedChange[] = []
    for (const key of this.due(now)) {
      const before = this.inForce.services.get(key)
      if (before === undefined) continue
      const intent = this.tracked.get(key)?.intent ?? before
      const { service: after, explain } = this.weighOne(key, intent, now)
      if (sameWeights(before, after)) continue
      this.inForce.services.set(key, after)
      services.set(key, { before, after })
      changes.push({ before, after, intentBefore: intent, intentAfter: intent, explain })
    }
    this.changeLog.note(changes, now.wallMs)
    if (services.size === 0) return undefined
    return { host: this.inForce.host, hostChanged: false, services }
  }

  /**
   * Up to `max` destinations whose weight is not intent's, and how many there are. First those of services in which
   * somebody is down, overridden or ramping; that other levels have no share is as it should be.
   */
  explained(max: number): Explained {
    if (this.said !== undefined) return this.said
    const others = [...this.tracked.values()].filter(({ otherCount }) => otherCount > 0)
    const list: WeighedDestination[] = []
    for (const one of [...others.filter(isUnusual), ...others.filter((it) => !isUnusual(it))]) {
      if (list.length >= max) break
      const { intent, memory, at, contactMs } = one
      const healthOf = this.health?.healthOf ?? nobodyChecks(memory, at)
      const again = weigh(intent, { healthOf, now: at, before: intent, memory, contactMs })
      list.push(...again.explain().slice(0, max - list.length))
    }
    const count = others.reduce((sum, { otherCount }) => sum + otherCount, 0)
    this.said = { list, count }
    return this.said
  }

  /** What became of weights, as far as the control plane does not know it yet. */
  get changes(): WeightChanges | null {
    return this.changeLog.report
  }

  noteReported(count: number): void {
    this.changeLog.noteReported(count)
  }

  /** What a later life must know so as not to send clients to the dead, or all at once to where they were not. */
  get memory(): ReadonlyMap<string, Memory> {
    const memory = new Map<string, Memory>()
    for (const [key, { memory: one }] of this.tracked) if (isWorthKeeping(one)) memory.set(key, one)
    return memory
  }

  private due(now: Now): Set<string> {
    const keys = new Set<string>()
    for (const [key, { nextMs }] of this.tracked) {
      if (nextMs !== null && nextMs <= now.monotonicMs) keys.add(key)
    }
    if (this.health?.hasChanged !== true) return keys
    const changed = this.health.takeChanged()
    for (const [key, { destinations }] of this.inForce.services) {
      if (destinations.some(({ realServer }) => changed.has(realServer))) keys.add(key)
    }
    return keys
  }

  private weighOne(
    key: string,
    intent: ServiceState,
    now: Now,
  ): Pick<Weighed, 'service' | 'explain'> {
    const held = this.tracked.get(key)
    const before = held?.intent ?? this.inForce.services.get(key)
    const memory = held?.memory ?? this.remembered.get(key)
    this.remembered.delete(key)
    const healthOf = this.health?.healthOf ?? nobodyChecks(memory, now)
    this.said = undefined
    // Most services are such, and there may be thousands of them.
    if (memory === undefined && isPlain(intent, healthOf))
      return { service: intent, explain: noneOf }
    const { contactMs } = this
    const weighed = weigh(intent, { healthOf, now, before, memory, contactMs })
    const { otherCount, nextMs } = weighed
    const isForgotten = nextMs === null && weighed.memory.members.size === 0 && otherCount === 0
    if (isForgotten && intent.policy === undefined) this.tracked.delete(key)
    else
      this.tracked.set(key, {
        intent,
        memory: weighed.memory,
        otherCount,
        nextMs,
        at: now,
        contactMs,
      })
    return weighed
  }

  private now(): Now {
    return { monotonicMs: this.clock.monotonicMs(), wallMs: this.clock.wallMs() }
  }
}

function noneOf(): WeighedDestination[] {
  return []
}

/** Nothing that could make a weight another one than intent's. */
function isPlain({ policy, destinations }: ServiceState, healthOf: HealthOf): boolean {
  return (
    policy === undefined &&
    destinations.every(
      (one) =>
        one.overrides === undefined && one.quorum === undefined && healthOf(one)?.state !== 'down',
    )
  )
}

function isUnusual({ memory }: Tracked): boolean {
  return memory.members.size > 0
}

/** What an agent that checks found before stays. */
function nobodyChecks(memory: Memory | undefined, { monotonicMs }: Now): HealthOf {
  if (memory === undefined) return () => undefined
  const unknown: Health = { state: 'unknown', sinceMs: monotonicMs, why: 'nobody checks here' }
  return () => unknown
}

function isWorthKeeping({ members, shares }: Memory): boolean {
  if (members.size > 0) return true
  return shares !== undefined && [...shares.byLevel.values()].every((share) => share < WHOLE)
}

function sameWeights(a: ServiceState, b: ServiceState): boolean {
  return a === b || a.destinations.every(({ weight }, i) => weight === b.destinations[i]?.weight)
}
