/**
 * Drains that an operator asked for, as a director hears of them and as it tells of them. A destination with one gets no
 * new connections, is counted, leaves the kernel when idle or at its deadline, and stays out while the drain stands.
 */
import * as z from 'zod'
import { intBetween, naturalSchema } from './shapes.ts'

/** Seconds that a destination must have been idle before it is removed, at most. */
export const DRAIN_IDLE_SECONDS_MAX = 3_600

export const drainStateSchema = z.object({
  /** Name of the operator's drain. */
  name: z.string(),
  reason: z.string(),
  owner: z.string(),
  /**
   * ms since 1970: what is left then is cut. Taken over to the boot clock when the director first hears of it, so that a
   * wall clock that jumps later neither cuts nor keeps connections.
   */
  deadline: naturalSchema,
  /** Between the last connection and the removal: handshakes that are under way are not counted as connections. */
  idleSeconds: intBetween(0, DRAIN_IDLE_SECONDS_MAX),
  /** Known clients of a persistent service may come back while the kernel has their templates, so those count too. */
  waitForTemplates: z.boolean(),
})
export type DrainState = z.infer<typeof drainStateSchema>

/** What is left of one drain on one director, over all its virtual services. */
export const drainProgressSchema = z.object({
  name: z.string(),
  /** Destinations that it concerns, and those of them that are out of the kernel. */
  destinations: naturalSchema,
  drained: naturalSchema,
  /** Those that wait out their idle seconds. */
  idle: naturalSchema,
  activeConnections: naturalSchema,
  /** Closing ones; of UDP all. */
  inactiveConnections: naturalSchema,
  /** Templates of persistent clients. */
  persistentConnections: naturalSchema,
  /** Seconds until what is left is cut. */
  remainingSeconds: naturalSchema,
})
export type DrainProgress = z.infer<typeof drainProgressSchema>
