/**
 * Which share of the connections each level should get: Envoy's arithmetic of priority levels
 * (envoyproxy.io, "Priority levels" and "Panic threshold"), counted in weights instead of hosts. Takes what of each
 * level is up; gives shares that sum to the whole, and which levels panic. Pure.
 */
import type { Level, Policy } from '@lvs-fleet/contract'

/** All connections. Shares are whole parts of it: hundredths of a percent. */
export const WHOLE = 10_000

/** One level, in weights. */
export type LevelHealth = {
  readonly level: Level
  /** Of all its destinations, were none drained. */
  readonly full: number
  /** Of those that intent and operators allow. */
  readonly wanted: number
  /** Of those of them that are up. */
  readonly up: number
  /** What of that carries now, by site: less than `up` while one of them ramps or has a smaller weight. */
  readonly availableBySite: ReadonlyMap<string, number>
}

export type LevelTarget = {
  readonly level: Level
  readonly share: number
  /** Too little of it is up, and nobody else has room: health is not looked at. */
  readonly isPanic: boolean
}

export function targetShares(
  levels: readonly LevelHealth[],
  policy: Pick<Policy, 'overprovisioningFactor' | 'panicThresholdPercent' | 'capacities'>,
): LevelTarget[] {
  const canTake = levels.map((level) => availabilityOf(level, policy))
  const sum = canTake.reduce((total, part) => total + part, 0)
  const divisor = Math.max(1, Math.min(WHOLE, sum))
  let left = WHOLE
  const shares = canTake.map((part) => {
    const share = Math.min(left, Math.floor((part * WHOLE) / divisor))
    left -= share
    return share
  })
  // What division left over belongs to the first level that takes any.
  const first = shares.findIndex((share) => share > 0)
  // A limit of a site says nothing about health: panic asks what the levels could take without limits.
  const unlimited = { ...policy, capacities: [] }
  const isEnough = sumOf(levels.map((level) => availabilityOf(level, unlimited))) >= WHOLE
  return levels.map(({ level, wanted, up }, i) => ({
    level,
    share: (shares[i] ?? 0) + (i === first ? left : 0),
    isPanic: !isEnough && wanted > 0 && up * 100 < wanted * policy.panicThresholdPercent,
  }))
}

/** Parts of the whole that a level can take: its healthy fraction times the factor, each site up to its limit. */
function availabilityOf(
  { full, availableBySite }: LevelHealth,
  policy: Pick<Policy, 'overprovisioningFactor' | 'capacities'>,
): number {
  const parts = [...availableBySite].map(([site, available]) => {
    const healthy = (available / full) * WHOLE * policy.overprovisioningFactor
    return Math.min(siteLimit(site, policy), healthy)
  })
  const sum = sumOf(parts)
  if (sum === 0) return 0
  // The last bit of a product such as 0.5 x 1.4 must not decide; whoever is up takes at least something.
  return Math.min(WHOLE, Math.max(1, Math.floor(sum + 1e-6)))
}

function siteLimit(site: string, { capacities }: Pick<Policy, 'capacities'>): number {
  const percent = capacities.find((one) => one.site === site)?.maxSharePercent
  return percent === undefined ? Number.POSITIVE_INFINITY : (percent * WHOLE) / 100
}

function sumOf(parts: readonly number[]): number {
  return parts.reduce((total, part) => total + part, 0)
}
