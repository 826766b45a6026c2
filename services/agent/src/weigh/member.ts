/**
 * One destination before levels are looked at: its weight with overrides, whether it is up, how far it has ramped.
 * Takes what was known of it before, because ramps and `unknown` hang on that. Pure.
 */
import {
  destinationKey,
  type DestinationState,
  type Level,
  type OverrideState,
  type Placement,
  type Policy,
  type WeightFactor,
} from '@lvs-fleet/contract'
import { UNKNOWN_KEEPS_MS, type Health, type HealthOf } from './health.ts'
import { lookAtQuorum } from './quorum.ts'
import { rampAt } from './ramp.ts'

export type Now = {
  /** Boot clock, for everything that runs. */
  readonly monotonicMs: number
  /** Wall clock, for expiry and texts. */
  readonly wallMs: number
}

/** Since when a factor has its value; wall clock, ms. */
export type FactorSince = { readonly value: number; readonly sinceWallMs: number }
export type FactorName = WeightFactor['name']

/** What is remembered of a destination that is not simply up at its own weight. */
export type MemberMemory = {
  readonly isUp: boolean
  /** Up, and with a weight. */
  readonly isServing: boolean
  /** Boot clock, ms: when its ramp began. */
  readonly rampFromMs: number | null
  readonly since: Readonly<Partial<Record<FactorName, FactorSince>>>
}

export type Member = {
  readonly destination: DestinationState
  readonly key: string
  readonly level: Level
  readonly site: string
  readonly fullWeight: number
  /** Of intent, or of an operator; 0 = no new connections, panic or not. */
  readonly weight: number
  readonly override: OverrideState | undefined
  readonly health: Health | undefined
  /** Down because other directors say so, whatever this one sees. */
  readonly isOutvoted: boolean
  readonly isUp: boolean
  readonly isServing: boolean
  readonly rampFromMs: number | null
  readonly rampPercent: number
  readonly memory: MemberMemory | undefined
  /** Boot clock, ms: when it looks different without anybody saying anything. */
  readonly nextMs: number | null
}

/** The wall clock may jump: an override's end is looked at this often. */
const EXPIRY_LOOK_MS = 60_000

export type MemberInputs = {
  readonly policy: Pick<Policy, 'slowStartSeconds'>
  readonly healthOf: HealthOf
  readonly now: Now
  /** Boot clock, ms: when the control plane last answered. */
  readonly contactMs: number | undefined
  readonly memory: MemberMemory | undefined
  /** Undefined without a policy. */
  readonly placement: Placement | undefined
  /** As the service before had it; `unknown` where nobody knows the service before. */
  readonly before: Pick<DestinationState, 'weight'> | 'absent' | 'unknown'
}

export function memberOf(destination: DestinationState, inputs: MemberInputs): Member {
  const { now, memory, policy, placement } = inputs
  const override = destination.overrides?.find((one) => one.expiresAt > now.wallMs)
  const health = inputs.healthOf(destination)
  const weight = weightOf(destination.weight, override)
  const quorum = lookAtQuorum(destination.quorum, inputs.contactMs, now)
  const isUp = override?.kind === 'up' || (!quorum.counts && isHealthy(health, inputs))
  const isServing = isUp && weight > 0
  const began = isServing && !wasServing(inputs) ? now.monotonicMs : (memory?.rampFromMs ?? null)
  const ramp =
    began === null || !isServing
      ? { percent: 100, nextMs: null }
      : rampAt(began, now.monotonicMs, policy.slowStartSeconds)
  return {
    destination,
    key: destinationKey(destination),
    level: placement?.level ?? 0,
    site: placement?.site ?? '',
    fullWeight: Math.max(placement?.fullWeight ?? 0, destination.weight),
    weight,
    override,
    health,
    isOutvoted: quorum.counts,
    isUp,
    isServing,
    rampFromMs: ramp.nextMs === null ? null : began,
    rampPercent: ramp.percent,
    memory,
    nextMs: earliest([
      ramp.nextMs,
      expiryMs(override, now),
      unknownEndsMs(health, isUp),
      quorum.nextMs,
    ]),
  }
}

export function earliest(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null)
  return known.length === 0 ? null : Math.min(...known)
}

function weightOf(intent: number, override: OverrideState | undefined): number {
  if (intent === 0 || override?.kind === 'down') return 0
  return override?.kind === 'weight' ? override.weight : intent
}

function isHealthy(health: Health | undefined, { memory, now }: MemberInputs): boolean {
  if (health === undefined) return true
  if (health.state !== 'unknown') return health.state === 'up'
  return (memory?.isUp ?? true) || now.monotonicMs >= health.sinceMs + UNKNOWN_KEEPS_MS
}

/** Nothing ramps that may have served all along. */
function wasServing({ memory, before }: MemberInputs): boolean {
  if (before === 'absent') return false
  if (memory !== undefined) return memory.isServing
  return before === 'unknown' || before.weight > 0
}

function expiryMs(override: OverrideState | undefined, now: Now): number | null {
  if (override === undefined) return null
  return now.monotonicMs + Math.min(EXPIRY_LOOK_MS, override.expiresAt - now.wallMs)
}

function unknownEndsMs(health: Health | undefined, isUp: boolean): number | null {
  return health?.state === 'unknown' && !isUp ? health.sinceMs + UNKNOWN_KEEPS_MS : null
}
