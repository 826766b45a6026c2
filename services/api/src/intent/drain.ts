/**
 * Drain: what an operator takes out of service for a while, or for good: no new connections, those that stand are waited
 * for until the deadline. It stands, and keeps what it drained out, until it is deleted. Directors carry it out by themselves.
 */
import { DRAIN_IDLE_SECONDS_MAX } from '@lvs-fleet/contract'
import * as z from 'zod'
import { nameSchema } from './shared-fields.ts'

/** Seconds from the last connection to the removal when nothing is said: longer than a handshake takes to be tried thrice. */
const DEFAULT_IDLE_SECONDS = 10

export const drainSchema = z.strictObject({
  /** What drains: exactly one of `realServer`, `site` and `director`. A real server: on every director. */
  realServer: nameSchema.nullable().default(null),
  /** Of a real server: only as a member of this pool; null = of every pool. */
  pool: nameSchema.nullable().default(null),
  /** All real servers of this site, on every director. */
  site: nameSchema.nullable().default(null),
  /** All destinations of this director, and of no other one. */
  director: nameSchema.nullable().default(null),
  reason: z.string().min(1, { error: 'says why, for those who find it' }).max(100),
  /** Whoever made it, where nothing else is said. */
  owner: z.string().min(1).max(100).nullable().default(null),
  /** UTC, such as 2026-11-24T18:00:00Z; at most 30 days ahead. What is left of connections then is cut. */
  deadline: z.iso.datetime({ error: 'must be a time in UTC such as 2026-11-24T18:00:00Z' }),
  /** Seconds that a destination must have been idle before it is removed. */
  idleSeconds: z.int().min(0).max(DRAIN_IDLE_SECONDS_MAX).default(DEFAULT_IDLE_SECONDS),
  /**
   * Known clients of persistent services are scheduled anew at once, also on directors whose
   * `ipvs.expireQuiescentTemplate` is false, which concerns all destinations at weight 0 there while the drain stands.
   * False leaves it to the director: where its templates keep their clients, those are waited for.
   */
  expireTemplates: z.boolean().default(false),
})
