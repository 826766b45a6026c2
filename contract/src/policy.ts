/**
 * What a director needs to turn intent weights into kernel weights by itself: the policy of a service, the place
 * of each destination in it, and what operators overrode for a while. None of it reaches the kernel as such.
 */
import * as z from 'zod'
import { weightSchema } from './ipvs.ts'
import { intBetween, naturalSchema, textUpTo } from './shapes.ts'

/** Levels of one service, the sorry server's apart. */
export const LEVELS_MAX = 64
/** Overrides that one destination can have at a time. */
export const OVERRIDES_MAX = 8

/** 0 takes connections first. `sorry`: only while nobody else answers. */
export const levelSchema = z.union([intBetween(0, LEVELS_MAX - 1), z.literal('sorry')])
export type Level = z.infer<typeof levelSchema>

/**
 * How connections spill from level to level. Shares are percent of this director's new connections to the service.
 * Without a policy a service is one level, and health alone changes its weights.
 */
export const policySchema = z.object({
  /** How much more than its own share a destination can carry: a level spills when less than 1/factor of it is up. */
  overprovisioningFactor: z.number().check(z.gte(1), z.lte(10)),
  /** A level that has less than this percent up takes no notice of health, unless other levels have room; 0 = never. */
  panicThresholdPercent: intBetween(0, 100),
  /** Shares stay while they are fewer percentage points than this from where they belong. */
  hysteresisPercent: intBetween(0, 100),
  /** Percentage points that move between levels at once, and how long until the next. */
  maxChangePercent: intBetween(1, 100),
  changeIntervalSeconds: intBetween(1, 3_600),
  /** How long a destination that comes (back) takes to its full weight, from a tenth of it; 0 = at once. */
  slowStartSeconds: intBetween(0, 3_600),
  /** The largest share that destinations of a site get within a level, as far as others have room. Sorted by site. */
  capacities: z.array(z.object({ site: z.string(), maxSharePercent: intBetween(1, 100) })),
})
export type Policy = z.infer<typeof policySchema>

/** Where one destination stands in its service's policy. */
export const placementSchema = z.object({
  level: levelSchema,
  site: z.string(),
  /** Its weight if nothing were drained: what its level has to do without while it is. */
  fullWeight: weightSchema,
})
export type Placement = z.infer<typeof placementSchema>

const overrideFields = {
  /** Name of the operator's override. */
  name: z.string(),
  reason: z.string(),
  owner: z.string(),
  /** ms since 1970, by the director's wall clock: it ends there by itself, whoever is out of reach. */
  expiresAt: naturalSchema,
}
/**
 * What an operator says for a while, whatever health says. None of them gives a weight to a destination to which
 * intent gives none.
 */
export const overrideStateSchema = z.discriminatedUnion('kind', [
  /** Instead of the weight that intent gives. */
  z.object({ kind: z.literal('weight'), weight: weightSchema, ...overrideFields }),
  /** No new connections, panic or not. */
  z.object({ kind: z.literal('down'), ...overrideFields }),
  /** As if every check passed. */
  z.object({ kind: z.literal('up'), ...overrideFields }),
])
export type OverrideState = z.infer<typeof overrideStateSchema>

/**
 * What most directors together found: down, though this one may see it up. It counts as a failed check of this director
 * does, so that a service is never left with nobody, and only while the control plane answers: without it each director
 * trusts its own eyes.
 */
export const quorumStateSchema = z.object({
  /** `down for 3 of 4 directors: dir-a, dir-b, dir-c`. */
  why: z.string(),
  /** ms since 1970, by the director's wall clock: also where the control plane answers and nobody counts any more. */
  expiresAt: naturalSchema,
})
export type QuorumState = z.infer<typeof quorumStateSchema>

/** What a kernel weight is made of. */
export const WEIGHT_FACTORS = ['intent', 'override', 'health', 'levelShare', 'ramp'] as const
export const weightFactorSchema = z.object({
  name: z.enum(WEIGHT_FACTORS),
  /** Of intent the weight itself, of the others what it is multiplied by. */
  value: z.number(),
  /** ISO 8601; null = it never changed while this agent looked. */
  since: z.nullable(z.string()),
  why: textUpTo(300),
})
export type WeightFactor = z.infer<typeof weightFactorSchema>

/** A destination whose kernel weight is not what intent says, and why. */
export const weighedDestinationSchema = z.object({
  service: z.string(),
  destination: z.string(),
  realServer: z.string(),
  /** In the kernel. Within a level in proportion to the product of its factors; never 0 by rounding. */
  weight: naturalSchema,
  factors: z.array(weightFactorSchema),
})
export type WeighedDestination = z.infer<typeof weighedDestinationSchema>
