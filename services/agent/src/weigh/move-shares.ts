/**
 * Moves the shares of levels towards where they belong: not for little (hysteresis), and not much at once. What a
 * level can no longer take moves at once, since the kernel gives it to the others in any case. Pure.
 */
import type { Level, Policy } from '@lvs-fleet/contract'
import { apportion } from './apportion.ts'
import { WHOLE } from './level-shares.ts'

export type Shares = {
  /** Parts of the whole; they sum to it. */
  readonly byLevel: ReadonlyMap<Level, number>
  /** Boot clock, ms: when one last changed. */
  readonly changedMs: number
  /** On the way; it goes on until the shares are where they belong, however little is left. */
  readonly isMoving: boolean
}

export type Move = {
  /** Undefined = nothing is known of before: the target is taken over. */
  readonly previous: Shares | undefined
  readonly target: ReadonlyMap<Level, number>
  /** Levels that have somebody to take connections. */
  readonly usable: ReadonlySet<Level>
  readonly policy: Pick<Policy, 'hysteresisPercent' | 'maxChangePercent' | 'changeIntervalSeconds'>
  readonly nowMs: number
}

export function moveShares(move: Move): {
  readonly shares: Shares
  readonly nextMs: number | null
} {
  const { previous, target, nowMs } = move
  if (previous === undefined) {
    return { shares: { byLevel: target, changedMs: nowMs, isMoving: false }, nextMs: null }
  }
  const { byLevel: start, isForced } = withoutUnusable(previous.byLevel, move)
  const changedMs = isForced ? nowMs : previous.changedMs
  const stay = (isMoving: boolean, nextMs: number | null) => ({
    shares: { byLevel: start, changedMs, isMoving },
    nextMs,
  })
  const distance = distanceBetween(start, target)
  if (distance === 0) return stay(false, null)
  const isWorthIt = previous.isMoving || distance >= parts(move.policy.hysteresisPercent)
  if (!isWorthIt && !holdsForNothing(start, target)) return stay(false, null)
  const intervalMs = move.policy.changeIntervalSeconds * 1_000
  const dueMs = previous.changedMs + intervalMs
  if (nowMs < dueMs) return stay(true, dueMs)
  const step = Math.min(distance, parts(move.policy.maxChangePercent))
  const isMoving = step < distance
  return {
    shares: { byLevel: stepTowards(start, target, step), changedMs: nowMs, isMoving },
    nextMs: isMoving ? nowMs + intervalMs : null,
  }
}

/** The part of the connections that would come to another level. */
export function distanceBetween(
  from: ReadonlyMap<Level, number>,
  to: ReadonlyMap<Level, number>,
): number {
  let distance = 0
  for (const [level, share] of to) distance += Math.max(0, share - (from.get(level) ?? 0))
  return distance
}

/** Shares of levels that are gone or have nobody go to those that wait for more. */
function withoutUnusable(
  shares: ReadonlyMap<Level, number>,
  { target, usable }: Move,
): { byLevel: ReadonlyMap<Level, number>; isForced: boolean } {
  const levels = [...target.keys()]
  const kept = levels.map((level) => (usable.has(level) ? (shares.get(level) ?? 0) : 0))
  const free = WHOLE - kept.reduce((sum, share) => sum + share, 0)
  const waiting = levels.map((level, i) => Math.max(0, (target.get(level) ?? 0) - (kept[i] ?? 0)))
  const given = apportion(free, waiting)
  return {
    byLevel: new Map(levels.map((level, i) => [level, (kept[i] ?? 0) + (given[i] ?? 0)])),
    isForced: free > 0,
  }
}

/** A few clients far away for no reason: that is worth a change, and cannot go back and forth. */
function holdsForNothing(
  shares: ReadonlyMap<Level, number>,
  target: ReadonlyMap<Level, number>,
): boolean {
  return [...target].some(([level, share]) => share === 0 && (shares.get(level) ?? 0) > 0)
}

function stepTowards(
  from: ReadonlyMap<Level, number>,
  to: ReadonlyMap<Level, number>,
  step: number,
): Map<Level, number> {
  const deltas = [...to].map(([level, share]) => share - (from.get(level) ?? 0))
  const up = apportion(
    step,
    deltas.map((delta) => Math.max(0, delta)),
  )
  const down = apportion(
    step,
    deltas.map((delta) => Math.max(0, -delta)),
  )
  return new Map(
    [...to.keys()].map((level, i) => [
      level,
      (from.get(level) ?? 0) + (up[i] ?? 0) - (down[i] ?? 0),
    ]),
  )
}

function parts(percent: number): number {
  return (percent * WHOLE) / 100
}
