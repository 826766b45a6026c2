/**
 * Quorum: when enough directors find a real server of a pool down, all of them take it for down. For faults that some
 * directors cannot see; where the control plane is gone each director trusts its own eyes again.
 */
import * as z from 'zod'

export const quorumSchema = z.strictObject({
  /** Of the directors that look and report, at least this percentage finds it down. Above 50, so that a split is no quorum. */
  downPercent: z.int().min(51).max(100).default(51),
  /** Fewer directors that look decide nothing. */
  directorsMin: z.int().min(2).max(1_024).default(2),
})
export type Quorum = z.output<typeof quorumSchema>

/** Who writes the overrides of kind `quorum`. */
export const QUORUM_ACTOR = 'quorum'
