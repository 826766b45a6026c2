/** Levels: in which one a real server is, as seen from a director. Takes the pool's policy and sites; pure. */
import { LEVELS_MAX, type Level, type Placement } from '@lvs-fleet/contract'
import type { DirectorSpec } from '../intent/kinds.ts'
import type { PoolPolicy } from '../intent/policy.ts'
import type { FleetIndex, ResolvedMember } from './fleet-index.ts'

export function placementOf(
  director: DirectorSpec,
  { member, server, isSorry }: ResolvedMember,
  policy: PoolPolicy,
  index: FleetIndex,
): Placement {
  const level: Level = isSorry
    ? 'sorry'
    : (member.level ?? siteLevel(director.site, server.site, policy.levels, index))
  return { level, site: server.site, fullWeight: member.weight }
}

function siteLevel(
  own: string,
  other: string,
  levels: PoolPolicy['levels'],
  index: FleetIndex,
): number {
  if (own === other || levels === 'none') return 0
  if (levels === 'local-first') return 1
  if (levels === 'path-cost') return 1 + costRank(own, other, index)
  const others = levels.filter((site) => site !== own)
  const rank = others.indexOf(other)
  return 1 + (rank === -1 ? others.length : rank)
}

/** How many different costs are lower; sites without a cost come after all that have one. */
function costRank(own: string, other: string, index: FleetIndex): number {
  const costs = [...index.sites.keys()]
    .filter((site) => site !== own)
    .map((site) => pathCost(own, site, index))
  const cost = pathCost(own, other, index)
  const lower = new Set(costs.filter((one) => one < cost))
  return Math.min(LEVELS_MAX - 2, lower.size)
}

function pathCost(from: string, to: string, { sites }: FleetIndex): number {
  const said = (site: string, other: string) =>
    sites.get(site)?.paths.find((path) => path.to === other)?.cost ?? null
  return said(from, to) ?? said(to, from) ?? Number.POSITIVE_INFINITY
}
