/**
 * Override: what an operator says of a real server for a while, whatever health says. It reaches directors with
 * their next poll and ends on each of them by itself, with or without a control plane.
 */
import { weightSchema } from '@lvs-fleet/contract'
import * as z from 'zod'
import { nameSchema } from './shared-fields.ts'

export const overrideSchema = z.strictObject({
  realServer: nameSchema,
  /** Only as a member of this pool; null = of every pool. */
  pool: nameSchema.nullable().default(null),
  /**
   * `weight`: this one instead of intent's. `down`: no new connections. `up`: as if every check passed. `quorum`: found down
   * by the quorum rule of its pool, which alone makes such ones.
   */
  kind: z.enum(['weight', 'down', 'up', 'quorum']),
  /** Of kind `weight`: 0 to 65535. A real server to which intent gives no weight gets none by this either. */
  weight: weightSchema.nullable().default(null),
  reason: z.string().min(1, { error: 'says why, for those who find it' }).max(100),
  /** Whoever made it, where nothing else is said. */
  owner: z.string().min(1).max(100).nullable().default(null),
  /** UTC, such as 2026-11-24T18:00:00Z; at most 30 days ahead. */
  expiresAt: z.iso.datetime({ error: 'must be a time in UTC such as 2026-11-24T18:00:00Z' }),
})
