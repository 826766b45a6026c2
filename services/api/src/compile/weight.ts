/**
 * Weight: what a member's own weight is multiplied by before it reaches a kernel. Takes a member and the states of
 * what it depends on; gives the weight, and for explain each factor with its reason. Pure. Each row of the
 * table is one factor, so that what is sent and what is explained cannot differ.
 */
import type { DirectorSpec, RealServerSpec } from '../intent/kinds.ts'
import type { Member } from '../intent/pool.ts'
import type { FleetIndex } from './fleet-index.ts'

export type WeightFactor = {
  /** `member`, `director state`, `real server state`, `site state` */
  readonly name: string
  readonly value: number
  readonly because: string
}

type Switch = {
  readonly name: string
  readonly of: (director: DirectorSpec, server: RealServerSpec, index: FleetIndex) => State
}
type State = { readonly what: string; readonly state: string }

const SWITCHES: readonly Switch[] = [
  {
    name: 'director state',
    of: ({ name, state }) => ({ what: `director ${name}`, state }),
  },
  {
    name: 'real server state',
    of: (_, { name, state }) => ({ what: `real server ${name}`, state }),
  },
  {
    name: 'site state',
    of: (_, { site }, index) => ({
      what: `site ${site}`,
      state: index.sites.get(site)?.state ?? 'active',
    }),
  },
]

/** Intent's share of a kernel weight: the member's, or 0 with the reasons why. */
export function effectiveWeight(
  director: DirectorSpec,
  server: RealServerSpec,
  member: Member,
  index: FleetIndex,
): { weight: number; reasons: string[] } {
  const reasons: string[] = []
  for (const { of } of SWITCHES) {
    const { what, state } = of(director, server, index)
    if (state === 'drain') reasons.push(`${what} drains`)
  }
  return { weight: reasons.length === 0 ? member.weight : 0, reasons }
}

/** Multiplied they are the kernel's weight. */
export function weightFactors(
  director: DirectorSpec,
  server: RealServerSpec,
  member: Member,
  index: FleetIndex,
): WeightFactor[] {
  return [
    { name: 'member', value: member.weight, because: 'weight in the pool' },
    ...SWITCHES.map(({ name, of }): WeightFactor => {
      const { what, state } = of(director, server, index)
      return state === 'drain'
        ? { name, value: 0, because: `${what} drains` }
        : { name, value: 1, because: `${what} is active` }
    }),
  ]
}
