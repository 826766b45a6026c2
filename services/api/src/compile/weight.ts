/**
 * Weight: what a member's own weight is multiplied by before it reaches a kernel. Takes a member and the states of
 * what it depends on; gives the weight, and for explain each factor with its reason. Pure. Each row of the
 * table is one factor, so that what is sent and what is explained cannot differ.
 */
import type { DirectorSpec, DrainSpec, RealServerSpec } from '../intent/kinds.ts'
import type { Member } from '../intent/pool.ts'
import type { FleetIndex } from './fleet-index.ts'

export type WeightFactor = {
  /** `member`, `director state`, `real server state`, `site state`, `drain` */
  readonly name: string
  readonly value: number
  readonly because: string
}

export type WeightQuestion = {
  readonly director: DirectorSpec
  readonly server: RealServerSpec
  readonly member: Member
  /** The one that concerns the member there. */
  readonly drain: DrainSpec | null
}

type Switch = {
  readonly name: string
  readonly of: (director: DirectorSpec, server: RealServerSpec, index: FleetIndex) => State
}
type State = { readonly what: string; readonly state: string }

/** What a drain says, in the words of `effectiveWeight` and explain; null = none concerns it. */
function drainReason(drain: DrainSpec | null): string | null {
  return drain === null ? null : `drain ${drain.name}: ${drain.reason}`
}

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
  { director, server, member, drain }: WeightQuestion,
  index: FleetIndex,
): { weight: number; reasons: string[] } {
  const reasons: string[] = []
  for (const { of } of SWITCHES) {
    const { what, state } = of(director, server, index)
    if (state === 'drain') reasons.push(`${what} drains`)
  }
  const drained = drainReason(drain)
  if (drained !== null) reasons.push(drained)
  return { weight: reasons.length === 0 ? member.weight : 0, reasons }
}

/** Multiplied they are the kernel's weight. */
export function weightFactors(
  { director, server, member, drain }: WeightQuestion,
  index: FleetIndex,
): WeightFactor[] {
  const drained = drainReason(drain)
  return [
    { name: 'member', value: member.weight, because: 'weight in the pool' },
    ...SWITCHES.map(({ name, of }): WeightFactor => {
      const { what, state } = of(director, server, index)
      return state === 'drain'
        ? { name, value: 0, because: `${what} drains` }
        : { name, value: 1, because: `${what} is active` }
    }),
    ...(drained === null ? [] : [{ name: 'drain', value: 0, because: drained }]),
  ]
}
