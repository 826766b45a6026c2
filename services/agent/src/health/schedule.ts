/**
 * Schedule: when a check asks next. Each check has a phase of its own, a hash of its key, so that hundreds with one
 * interval are spread over it evenly, after a start as well as later: due times are slots of a fixed grid, and jitter
 * moves a probe within its slot without ever adding up. Pure; jitter too is a hash, so equal input gives equal times.
 */
import { fnv1a32, type CheckState } from '@lvs-fleet/contract'

export type Timing = Pick<CheckState, 'key' | 'intervalMs' | 'downIntervalMs' | 'jitterPercent'>

/** A probe may last an interval, and its turn be as late as jitter may make it. */
const LATE_INTERVALS = 1.5

/** Times in ms of the monotonic clock. */
export type Moment = {
  readonly isDown: boolean
  /** When the last probe began; null = there was none. */
  readonly lastMs: number | null
  readonly nowMs: number
  /** Differs from director to director, so that they do not ask one real server in step. */
  readonly seed: number
}

/**
 * At least half an interval after the last probe, also when the interval has just changed; now, where the slot came while
 * that probe was still waiting for its answer. So two probes begin at most an interval and twice the jitter apart, up to 25 % of
 * jitter; with more a slot may be too early to be taken. Who is later than that, since the agent stood still, waits for a
 * slot like all others.
 */
export function nextProbeMs(check: Timing, { isDown, lastMs, nowMs, seed }: Moment): number {
  const interval = isDown ? check.downIntervalMs : check.intervalMs
  const isLate = lastMs === null || nowMs > lastMs + LATE_INTERVALS * interval
  const earliest = isLate ? nowMs : lastMs + interval / 2
  const phase = fraction(`${seed} ${check.key}`) * interval
  const first = Math.floor((earliest - phase) / interval)
  const spread = (check.jitterPercent / 100) * interval
  // Jitter is at most half an interval, so that one of the next three slots is late enough.
  for (let slot = first; ; slot++) {
    const jitter = (fraction(`${seed} ${slot} ${check.key}`) * 2 - 1) * spread
    const atMs = phase + slot * interval + jitter
    if (atMs > earliest) return Math.max(atMs, nowMs)
  }
}

/** Uniform in [0, 1). FNV alone leaves texts that end alike close together, so its bits are mixed (murmur3's finalizer). */
function fraction(text: string): number {
  let hash = fnv1a32(text)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}
