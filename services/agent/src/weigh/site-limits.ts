/**
 * What the capacity of a site does within a level: sites share by what they have, none above its limit while another
 * one has room. Gives what each site's weights are multiplied by; nothing where no limit is reached. Pure.
 */
import type { Policy } from '@lvs-fleet/contract'

/** `weights`: of each site's destinations together. `share`: of the level, as a part of one. */
export function siteFactors(
  weights: ReadonlyMap<string, number>,
  share: number,
  { capacities }: Pick<Policy, 'capacities'>,
): ReadonlyMap<string, number> {
  const limits = new Map(capacities.map((one) => [one.site, one.maxSharePercent / 100]))
  const limitOf = (site: string) => limits.get(site) ?? Number.POSITIVE_INFINITY
  const sum = [...weights.values()].reduce((total, weight) => total + weight, 0)
  const given = new Map<string, number>()
  let open = [...weights]
  let rest = share
  for (;;) {
    const openSum = open.reduce((total, [, weight]) => total + weight, 0)
    const full = open.filter(([site, weight]) => (rest * weight) / openSum > limitOf(site))
    if (full.length === 0) {
      for (const [site, weight] of open) given.set(site, (rest * weight) / openSum)
      break
    }
    for (const [site] of full) given.set(site, limitOf(site))
    rest -= full.reduce((total, [site]) => total + limitOf(site), 0)
    open = open.filter((one) => !full.includes(one))
    if (open.length > 0) continue
    // Nobody has room: somebody must answer, so all go above their limits in the same proportion.
    const all = [...given.values()].reduce((total, part) => total + part, 0)
    for (const [site, part] of given) given.set(site, (part * share) / all)
    break
  }
  const factors = new Map<string, number>()
  for (const [site, weight] of weights) {
    const factor = ((given.get(site) ?? 0) * sum) / (share * weight)
    if (Math.abs(factor - 1) > 1e-9) factors.set(site, factor)
  }
  return factors
}
