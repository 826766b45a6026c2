/**
 * Weighs one virtual service: what intent says, what is up, what operators overrode and what was before → the
 * weights for the kernel, each with its factors. Pure and deterministic; the file to read first in this folder.
 *
 * weight = intent x override x health x level share x ramp, in proportion; intent's own numbers where all are 1.
 */
import {
  destinationKey,
  PROPORTIONAL_SCHEDULERS,
  serviceKey,
  type Level,
  type Policy,
  type Scheduler,
  type ServiceState,
  type WeighedDestination,
  type WeightFactor,
} from '@lvs-fleet/contract'
import { factorsOf, isOff, memoryOf, type Factor } from './factors.ts'
import type { HealthOf } from './health.ts'
import { integerWeights, type ExactWeight } from './integer-weights.ts'
import { targetShares, WHOLE, type LevelHealth } from './level-shares.ts'
import { earliest, memberOf, type Member, type MemberMemory, type Now } from './member.ts'
import { moveShares, type Shares } from './move-shares.ts'
import { siteFactors } from './site-limits.ts'

/** What is known of a service from one weighing to the next. */
export type Memory = {
  /** Undefined without a policy. */
  readonly shares: LevelShares | undefined
  /** By destination key; whoever is not here is up at its own weight. */
  readonly members: ReadonlyMap<string, MemberMemory>
}
export type LevelShares = Shares & {
  /** Wall clock, ms: since when each level has its share. */
  readonly sinceWallMs: ReadonlyMap<Level, number>
}

export type WeighInputs = {
  readonly healthOf: HealthOf
  readonly now: Now
  /** As intent had it when it was last weighed; undefined after a start. */
  readonly before: ServiceState | undefined
  readonly memory: Memory | undefined
  /** Boot clock, ms: when the control plane last answered; absent = not in this life. */
  readonly contactMs?: number | undefined
}

export type Weighed = {
  /** As the kernel is to hold it; the very same object where no weight differs from intent. */
  readonly service: ServiceState
  /** Destinations whose weight is not intent's. */
  readonly otherCount: number
  /** Each of them with its factors; computed when asked, since most are never looked at. */
  readonly explain: () => WeighedDestination[]
  /** Boot clock, ms: when to weigh again if nothing happens; null = no need. */
  readonly nextMs: number | null
  readonly memory: Memory
}

/** Without a policy: one level, nothing ramps, and health counts until nobody is left. */
const ONE_LEVEL: Policy = {
  overprovisioningFactor: 1,
  panicThresholdPercent: 0,
  hysteresisPercent: 0,
  maxChangePercent: 100,
  changeIntervalSeconds: 1,
  slowStartSeconds: 0,
  capacities: [],
}

export function weigh(service: ServiceState, inputs: WeighInputs): Weighed {
  const policy = service.policy ?? ONE_LEVEL
  const members = membersOf(service, policy, inputs)
  const levels = levelsOf(members)
  const targets = targetsOf(levels, members, policy)
  const moved = moveShares({
    previous: inputs.memory?.shares,
    target: targets.shares,
    usable: targets.usable,
    policy,
    nowMs: inputs.now.monotonicMs,
  })
  const sinceWallMs = sharesSince(moved.shares, service.policy, inputs)
  const shares = { ...moved.shares, sinceWallMs }
  const taking = takersOf(members, targets, shares)
  const shared = { shares, siteFactors: siteFactorsOf(taking, shares, policy) }
  const weights = weightsOf(service.scheduler, members, taking, shared)
  const context = { ...shared, targets, now: inputs.now }
  const destinations = members.map(({ destination }, i) => {
    const weight = weights[i] ?? 0
    return weight === destination.weight ? destination : { ...destination, weight }
  })
  const others = [...members.entries()].filter(
    ([i, { destination }]) => destination !== destinations[i],
  )
  return {
    service: others.length === 0 ? service : { ...service, destinations },
    otherCount: others.length,
    explain: () =>
      others.map(([i, member]) => ({
        service: serviceKey(service),
        destination: member.key,
        realServer: member.destination.realServer,
        weight: weights[i] ?? 0,
        factors: factorsOf(member, context).map(asReported),
      })),
    nextMs: earliest([moved.nextMs, ...members.map(({ nextMs }) => nextMs)]),
    memory: {
      shares: service.policy === undefined ? undefined : shares,
      members: new Map(
        members.filter(isOff).map((member) => [member.key, memoryOf(member, context)]),
      ),
    },
  }
}

function asReported({ sinceWallMs, ...factor }: Factor): WeightFactor {
  return { ...factor, since: sinceWallMs === null ? null : new Date(sinceWallMs).toISOString() }
}

function membersOf(
  service: ServiceState,
  policy: Policy,
  { healthOf, now, before, memory, contactMs }: WeighInputs,
): Member[] {
  const old =
    before === undefined
      ? undefined
      : new Map(
          before.destinations.map((destination) => [destinationKey(destination), destination]),
        )
  return service.destinations.map((destination) => {
    const key = destinationKey(destination)
    return memberOf(destination, {
      policy,
      healthOf,
      now,
      contactMs,
      memory: memory?.members.get(key),
      placement: service.policy === undefined ? undefined : destination.placement,
      before: old === undefined ? 'unknown' : (old.get(key) ?? 'absent'),
    })
  })
}

/** In their order, the sorry server's last. */
function levelsOf(members: readonly Member[]): LevelHealth[] {
  const byLevel = Map.groupBy(members, ({ level }) => level)
  return [...byLevel]
    .toSorted(([a], [b]) => rankOf(a) - rankOf(b))
    .map(([level, list]) => levelHealth(level, list, (member) => member.isServing))
}

function rankOf(level: Level): number {
  return level === 'sorry' ? Number.POSITIVE_INFINITY : level
}

function levelHealth(
  level: Level,
  members: readonly Member[],
  isServing: (member: Member) => boolean,
): LevelHealth {
  const total = (list: readonly Member[]) =>
    list.reduce((sum, { fullWeight }) => sum + fullWeight, 0)
  const availableBySite = new Map<string, number>()
  for (const member of members.filter(isServing)) {
    const { site, weight, fullWeight, rampPercent } = member
    const available = (Math.min(weight, fullWeight) * rampPercent) / 100
    availableBySite.set(site, (availableBySite.get(site) ?? 0) + available)
  }
  return {
    level,
    full: total(members),
    wanted: total(members.filter(({ weight }) => weight > 0)),
    up: total(members.filter(isServing)),
    availableBySite,
  }
}

export type Targets = {
  readonly shares: ReadonlyMap<Level, number>
  readonly usable: ReadonlySet<Level>
  /** Levels in which health is not looked at, and why. */
  readonly ignoring: ReadonlyMap<Level, string>
}

/** The sorry server answers when nobody else does; when it does not either, the dead are better than nobody. */
function targetsOf(
  levels: readonly LevelHealth[],
  members: readonly Member[],
  policy: Policy,
): Targets {
  const ordinary = levels.filter(({ level }) => level !== 'sorry')
  const sorry = levels.find(({ level }) => level === 'sorry')
  const alone = (level: Level, why: string | undefined): Targets => ({
    shares: new Map(levels.map((one) => [one.level, one.level === level ? WHOLE : 0])),
    usable: new Set([level]),
    ignoring: new Map(why === undefined ? [] : [[level, why]]),
  })
  if (ordinary.some(({ up }) => up > 0)) return spread(ordinary, sorry, policy)
  if (sorry !== undefined && sorry.up > 0) return alone('sorry', undefined)
  const nobody = 'nobody is up, so health is not looked at'
  if (ordinary.some(({ wanted }) => wanted > 0)) {
    const hopeful = ordinary.map(({ level }) =>
      levelHealth(
        level,
        members.filter((member) => member.level === level),
        ({ weight }) => weight > 0,
      ),
    )
    const all = spread(hopeful, sorry, policy)
    return { ...all, ignoring: new Map(ordinary.map(({ level }) => [level, nobody])) }
  }
  return alone(sorry?.level ?? levels[0]?.level ?? 0, nobody)
}

function spread(
  ordinary: readonly LevelHealth[],
  sorry: LevelHealth | undefined,
  policy: Policy,
): Targets {
  const targets = targetShares(ordinary, policy)
  const shares = new Map(targets.map(({ level, share }) => [level, share]))
  if (sorry !== undefined) shares.set(sorry.level, 0)
  const panics = targets.flatMap(({ level, isPanic }, i): [Level, string][] => {
    const { up = 0, wanted = 0 } = ordinary[i] ?? {}
    if (!isPanic) return []
    const percent = Math.floor((up * 100) / wanted)
    return [
      [
        level,
        `panic: ${percent} % of level ${level} is up, under ${policy.panicThresholdPercent} %, and no other has room: health is not looked at`,
      ],
    ]
  })
  return {
    shares,
    usable: new Set(ordinary.filter(({ up }) => up > 0).map(({ level }) => level)),
    ignoring: new Map(panics),
  }
}

/** Since when each level has its share; a service without a policy has one level, and always had. */
function sharesSince(
  { byLevel }: Shares,
  policy: Policy | undefined,
  { memory, now }: WeighInputs,
): ReadonlyMap<Level, number> {
  const sinceWallMs = new Map<Level, number>()
  if (policy === undefined) return sinceWallMs
  const before = memory?.shares
  for (const [level, share] of byLevel) {
    const since = before?.byLevel.get(level) === share ? before.sinceWallMs.get(level) : undefined
    sinceWallMs.set(level, since ?? now.wallMs)
  }
  return sinceWallMs
}

type SiteFactors = ReadonlyMap<Level, ReadonlyMap<string, number>>

function weightsOf(
  scheduler: Scheduler,
  members: readonly Member[],
  taking: readonly Member[],
  shared: { readonly shares: Shares; readonly siteFactors: SiteFactors },
): number[] {
  // Where weights give no proportion, exact ones mean nothing: intent's own, or 0.
  const weights = PROPORTIONAL_SCHEDULERS.has(scheduler)
    ? integerWeights(exactWeights(taking, shared))
    : taking.map(({ weight }) => weight)
  const byKey = new Map(taking.map(({ key }, i) => [key, weights[i] ?? 0]))
  return members.map(({ key }) => byKey.get(key) ?? 0)
}

/** Those that get connections at all. */
function takersOf(members: readonly Member[], targets: Targets, shares: Shares): Member[] {
  return members.filter(
    ({ weight, isUp, level }) =>
      weight > 0 && (shares.byLevel.get(level) ?? 0) > 0 && (isUp || targets.ignoring.has(level)),
  )
}

function siteFactorsOf(taking: readonly Member[], shares: Shares, policy: Policy): SiteFactors {
  const factors = new Map<Level, ReadonlyMap<string, number>>()
  if (policy.capacities.length === 0) return factors
  for (const [level, list] of Map.groupBy(taking, (member) => member.level)) {
    const bySite = new Map<string, number>()
    for (const member of list) {
      bySite.set(member.site, (bySite.get(member.site) ?? 0) + ramped(member))
    }
    factors.set(level, siteFactors(bySite, (shares.byLevel.get(level) ?? 0) / WHOLE, policy))
  }
  return factors
}

/** The level with the largest share keeps the weights that it has; the others follow in proportion. */
function exactWeights(
  taking: readonly Member[],
  { shares, siteFactors: factors }: { readonly shares: Shares; readonly siteFactors: SiteFactors },
): ExactWeight[] {
  const shareOf = (level: Level) => shares.byLevel.get(level) ?? 0
  const own = taking.map(
    (member) => ramped(member) * (factors.get(member.level)?.get(member.site) ?? 1),
  )
  const sums = new Map<Level, number>()
  for (const [i, { level }] of taking.entries()) {
    sums.set(level, (sums.get(level) ?? 0) + (own[i] ?? 0))
  }
  const levels = [...sums.keys()].toSorted(
    (a, b) => shareOf(b) - shareOf(a) || rankOf(a) - rankOf(b),
  )
  const [anchor] = levels
  if (anchor === undefined) return []
  const unit = (sums.get(anchor) ?? 1) / shareOf(anchor)
  return taking.map(({ level }, i) => {
    const weight = own[i] ?? 0
    const inUnits = (weight * shareOf(level) * unit) / (sums.get(level) ?? 1)
    return { weight: level === anchor ? weight : inUnits, level: levels.indexOf(level) }
  })
}

function ramped({ weight, rampPercent }: Member): number {
  return (weight * rampPercent) / 100
}
