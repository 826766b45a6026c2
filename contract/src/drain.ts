/**
 * Drains that an operator asked for, as a director hears of them and as it tells of them. A destination with one gets no
 * new connections, is counted, leaves the kernel when idle or at its deadline, and stays out while the drain stands.
 */
import * as z from 'zod'

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
  deadline: z.int().min(0),
  /** Between the last connection and the removal: handshakes that are under way are not counted as connections. */
  idleSeconds: z.int().min(0).max(DRAIN_IDLE_SECONDS_MAX),
  /** Known clients of a persistent service may come back while the kernel has their templates, so those count too. */
  waitForTemplates: z.boolean(),
})
export type DrainState = z.infer<typeof drainStateSchema>

/** What is left of one drain on one director, over all its virtual services. */
export const drainProgressSchema = z.object({
  name: z.string(),
  /** Destinations that it concerns, and those of them that are out of the kernel. */
  destinations: z.int().min(0),
  drained: z.int().min(0),
  /** Those that wait out their idle seconds. */
  idle: z.int().min(0),
  activeConnections: z.int().min(0),
  /** Closing ones; of UDP all. */
  inactiveConnections: z.int().min(0),
  /** Templates of persistent clients. */
  persistentConnections: z.int().min(0),
  /** Seconds until what is left is cut. */
  remainingSeconds: z.int().min(0),
})
export type DrainProgress = z.infer<typeof drainProgressSchema>
