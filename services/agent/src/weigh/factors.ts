/** The factors of one destination's weight with since when and why, and what of them must be remembered. Pure. */
import type { Level, WeightFactor } from '@lvs-fleet/contract'
import { WHOLE } from './level-shares.ts'
import type { FactorName, FactorSince, Member, MemberMemory, Now } from './member.ts'
import type { LevelShares, Targets } from './weigh.ts'

export type Factor = Omit<WeightFactor, 'since'> & {
  /** Wall clock, ms; null = it was always so, as far as this agent knows. */
  readonly sinceWallMs: number | null
}

export type FactorContext = {
  readonly targets: Targets
  readonly shares: LevelShares
  /** What capacities of sites multiply the weights of a level by. */
  readonly siteFactors: ReadonlyMap<Level, ReadonlyMap<string, number>>
  readonly now: Now
}

const WHY_MAX = 300

export function factorsOf(member: Member, context: FactorContext): Factor[] {
  const said = [intentOf(member), overrideOf(member), healthOf(member, context), rampOf(member)]
  const { memory } = member
  const factors = said.map(({ changedWallMs, ...factor }): Factor => {
    const before = memory?.since[factor.name]
    // One that has its neutral value and is not remembered never had another.
    const isOld = before === undefined ? factor.value === neutral(factor.name, member) : false
    const since = before?.value === factor.value ? before.sinceWallMs : null
    return {
      ...factor,
      why: factor.why.slice(0, WHY_MAX),
      sinceWallMs: since ?? (isOld ? null : (changedWallMs ?? context.now.wallMs)),
    }
  })
  return [...factors, shareOf(member, context)]
}

/** Not simply up at its own weight, as most are. */
export function isOff({ isUp, override, rampFromMs }: Member): boolean {
  return !isUp || override !== undefined || rampFromMs !== null
}

/** What must be remembered of one that is off. */
export function memoryOf(member: Member, context: FactorContext): MemberMemory {
  const since: Partial<Record<FactorName, FactorSince>> = {}
  for (const { name, value, sinceWallMs } of factorsOf(member, context)) {
    if (name === 'levelShare' || sinceWallMs === null) continue
    since[name] = { value, sinceWallMs }
  }
  const { isUp, isServing, rampFromMs } = member
  return { isUp, isServing, rampFromMs, since }
}

type Said = Omit<WeightFactor, 'since'> & { readonly changedWallMs?: number }

function neutral(name: FactorName, { destination }: Member): number {
  return name === 'intent' ? destination.weight : 1
}

function intentOf({ destination: { weight, drain } }: Member): Said {
  const drained =
    drain === undefined ? 'weight 0, or drained' : `drain ${drain.name}: ${drain.reason}`
  const why = weight === 0 ? drained : 'weight in the pool'
  return { name: 'intent', value: weight, why }
}

function overrideOf({ destination, override, weight }: Member): Said {
  if (override === undefined) return { name: 'override', value: 1, why: 'none' }
  const { kind, owner, reason, expiresAt, name } = override
  const what = kind === 'weight' ? `weight ${override.weight}` : kind
  const until = new Date(expiresAt).toISOString()
  const value = destination.weight === 0 ? 1 : rounded(weight / destination.weight)
  return { name: 'override', value, why: `${name}: ${what} until ${until} by ${owner}: ${reason}` }
}

function healthOf(member: Member, { targets, now }: FactorContext): Said {
  const { health, isUp, override, level } = member
  const own =
    health === undefined ? 'not checked' : `${health.class ?? health.state}: ${health.why}`
  const { quorum } = member.destination
  const said =
    member.isOutvoted && quorum !== undefined
      ? `quorum: ${quorum.why}; seen from here: ${own}`
      : own
  const ignored = targets.ignoring.get(level)
  const changedWallMs =
    health === undefined || member.isOutvoted
      ? now.wallMs
      : now.wallMs - (now.monotonicMs - health.sinceMs)
  if (override?.kind === 'up') return { name: 'health', value: 1, why: `override up; ${said}` }
  if (isUp) return { name: 'health', value: 1, why: said, changedWallMs }
  if (ignored !== undefined) return { name: 'health', value: 1, why: `${ignored}; ${said}` }
  return { name: 'health', value: 0, why: said, changedWallMs }
}

function rampOf({ rampPercent, isServing, rampFromMs }: Member): Said {
  if (!isServing || rampFromMs === null) return { name: 'ramp', value: 1, why: 'none' }
  return { name: 'ramp', value: rampPercent / 100, why: 'slow start' }
}

function shareOf({ level, site }: Member, context: FactorContext): Factor {
  const { shares, targets, siteFactors } = context
  const share = shares.byLevel.get(level) ?? 0
  const target = targets.shares.get(level) ?? 0
  const limit = siteFactors.get(level)?.get(site) ?? 1
  const name = level === 'sorry' ? 'the sorry server' : `level ${level}`
  const way = target === share ? '' : `, on its way to ${percent(target)} %`
  const bound = limit === 1 ? '' : `; capacities of sites change the part of ${site}`
  return {
    name: 'levelShare',
    value: rounded((share / WHOLE) * limit),
    sinceWallMs: shares.sinceWallMs.get(level) ?? null,
    why: `${name} takes ${percent(share)} %${way}${bound}`,
  }
}

function percent(share: number): number {
  return (share * 100) / WHOLE
}

function rounded(value: number): number {
  return Math.round(value * 10_000) / 10_000
}
