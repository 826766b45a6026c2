/**
 * Judge: results of one check, one after another → its verdict. Pure and deterministic; time comes as an argument.
 *
 *     unknown ─ first good ─► up ─ `fall` bad ─► down ─ `rise` good ─► up, or held when it was down too often
 *        └──── `fall` bad after the grace ───────► down                  held ─ good for `holdMs` ─► up
 *                                                                        held ─ `fall` bad ─► down
 *
 * What is unknown counts as up: an agent that starts empties no pool. Nor does it bring back what was down when it stopped:
 * that begins as down, with the first good answer enough to end it. A probe that could not run changes nothing.
 */
import type { CheckState, HealthVerdict } from '@lvs-fleet/contract'

/** What decides, of a check. */
export type Rules = Pick<CheckState, 'rise' | 'fall' | 'graceMs' | 'damping'>

export type Judged = {
  readonly state: HealthVerdict
  /** When it took this state, and when the check began; ms of the monotonic clock. */
  readonly sinceMs: number
  readonly beganMs: number
  /** Results in a row that speak against the state, or for the end of a hold. */
  readonly streak: number
  /** When it went down within the window, oldest first; at most `downsMax`. */
  readonly downsMs: readonly number[]
  /** While held: the last bad result, or the start of the hold. */
  readonly unsettledMs: number
}

export function beginJudging(nowMs: number): Judged {
  return {
    state: 'unknown',
    sinceMs: nowMs,
    beganMs: nowMs,
    streak: 0,
    downsMs: [],
    unsettledMs: nowMs,
  }
}

/** What an earlier life of the agent found down: it stays so until the first good answer. */
export function recallDown(nowMs: number, { rise }: Pick<Rules, 'rise'>): Judged {
  return { ...beginJudging(nowMs), state: 'down', streak: rise - 1 }
}

export function judge(before: Judged, isGood: boolean, nowMs: number, rules: Rules): Judged {
  switch (before.state) {
    case 'unknown':
      return isGood ? turn(before, 'up', nowMs) : countBad(before, nowMs, rules)
    case 'up':
      return isGood ? { ...before, streak: 0 } : countBad(before, nowMs, rules)
    case 'down':
      return isGood ? countGood(before, nowMs, rules) : { ...before, streak: 0 }
    case 'held':
      if (!isGood) return countBad({ ...before, unsettledMs: nowMs }, nowMs, rules)
      return endHold({ ...before, streak: 0 }, nowMs, rules)
  }
}

/** An agent that starts anew tells up from down at the first good answer, but needs `fall` bad ones. */
function countBad(before: Judged, nowMs: number, rules: Rules): Judged {
  if (before.state !== 'held' && nowMs - before.beganMs < rules.graceMs) {
    return { ...before, streak: 0 }
  }
  const streak = before.streak + 1
  if (streak < rules.fall) return { ...before, streak }
  return { ...turn(before, 'down', nowMs), downsMs: noteDown(before.downsMs, nowMs, rules) }
}

function countGood(before: Judged, nowMs: number, rules: Rules): Judged {
  const streak = before.streak + 1
  if (streak < rules.rise) return { ...before, streak }
  return turn(before, isFlapping(before.downsMs, nowMs, rules) ? 'held' : 'up', nowMs)
}

function endHold(before: Judged, nowMs: number, rules: Rules): Judged {
  const holdMs = rules.damping?.holdMs ?? 0
  return nowMs - before.unsettledMs >= holdMs ? turn(before, 'up', nowMs) : before
}

function turn(before: Judged, state: HealthVerdict, nowMs: number): Judged {
  return { ...before, state, sinceMs: nowMs, streak: 0, unsettledMs: nowMs }
}

function noteDown(downsMs: readonly number[], nowMs: number, { damping }: Rules): number[] {
  return damping === null ? [] : [...downsMs, nowMs].slice(-damping.downsMax)
}

function isFlapping(downsMs: readonly number[], nowMs: number, { damping }: Rules): boolean {
  if (damping === null) return false
  const recent = downsMs.filter((at) => nowMs - at <= damping.windowMs)
  return recent.length >= damping.downsMax
}
