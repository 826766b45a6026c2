/**
 * Policy of a pool: how each director spreads connections over levels of real servers while some of them are down,
 * how fast that changes, and who says sorry. Without one a pool is one level.
 */
import { portSchema } from '@lvs-fleet/contract'
import * as z from 'zod'
import { nameSchema } from './shared-fields.ts'

/** Whole percent. */
const percent = (min: number) => z.int().min(min).max(100)

export const policySchema = z.strictObject({
  /**
   * Which level each real server is in, as seen from the site of a director, whose own site is always the first.
   * `local-first`: all other sites are the second. `path-cost`: the others by `cost` of the path to them, equal ones
   * together, those without a cost last. A list: the others in this order, those that it leaves out last. `none`:
   * one level. A member's own `level` wins over all of them.
   */
  levels: z
    .union(
      [
        z.enum(['local-first', 'path-cost', 'none']),
        z
          .array(nameSchema)
          .min(1)
          .max(60)
          .refine((sites) => new Set(sites).size === sites.length, { error: 'has a site twice' }),
      ],
      {
        error: 'must be local-first, path-cost, none, or a list of up to 60 sites, each once',
      },
    )
    .default('local-first'),
  /**
   * A level takes all it is given until less than 1/factor of it is up (1.4: 71 %); of the rest it takes its healthy
   * part times the factor, and what is over spills to the next level.
   */
  overprovisioningFactor: z.number().min(1).max(10).default(1.4),
  /** Where less of a level is up and no other level has room, health is not looked at in it; 0 = never. */
  panicThresholdPercent: percent(0).default(50),
  /** Shares of levels stay while they are fewer percentage points than this from where they belong. */
  hysteresisPercent: percent(0).default(5),
  /** Percentage points that move from level to level at once. */
  maxChangePercent: percent(1).default(20),
  /** Seconds until the next such change. */
  changeIntervalSeconds: z.int().min(1).max(3_600).default(10),
  /** Seconds from a tenth of its weight to all of it for a real server that is new or comes back; 0 = at once. */
  slowStartSeconds: z.int().min(0).max(3_600).default(0),
  /**
   * Site → the largest share, in percent of each director's new connections, that its real servers get within a
   * level. The rest goes to others; only where nobody has room all exceed their limits alike.
   */
  capacity: z.record(nameSchema, percent(1)).default({}),
  /** The last level: gets connections only while no other real server of the pool is up. */
  sorryServer: z
    .strictObject({ realServer: nameSchema, port: portSchema.nullable().default(null) })
    .nullable()
    .default(null),
})
export type PoolPolicy = z.output<typeof policySchema>
