import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Level } from '@lvs-fleet/contract'
import { WHOLE } from './level-shares.ts'
import { moveShares } from './move-shares.ts'

const policy = { hysteresisPercent: 5, maxChangePercent: 20, changeIntervalSeconds: 10 }
const shares = (...list: readonly number[]) =>
  new Map<Level, number>(list.map((percent, level) => [level, (percent * WHOLE) / 100]))

/** Each row is a long time after the one before. */
const ROWS: readonly {
  readonly what: string
  readonly from: readonly number[]
  readonly to: readonly number[]
  readonly isMoving?: boolean
  readonly usable?: readonly Level[]
  readonly want: readonly number[]
  readonly goesOn?: boolean
}[] = [
  { what: 'where it belongs', from: [70, 30], to: [70, 30], want: [70, 30] },
  { what: 'too little to move', from: [100, 0], to: [96, 4], want: [100, 0] },
  { what: 'enough to move', from: [100, 0], to: [95, 5], want: [95, 5] },
  { what: 'more than once', from: [100, 0], to: [50, 50], want: [80, 20], goesOn: true },
  { what: 'the rest of a move', from: [54, 46], to: [50, 50], isMoving: true, want: [50, 50] },
  { what: 'the last few come home', from: [97, 3], to: [100, 0], want: [100, 0] },
  { what: 'but do not leave again', from: [100, 0], to: [97, 3], want: [100, 0] },
  {
    what: 'nobody left',
    from: [90, 10, 0],
    to: [0, 50, 50],
    usable: [1, 2],
    // 90 % are free at once: 40 and 50 wait, and get all of it.
    want: [0, 50, 50],
  },
  {
    what: 'nobody left in one, the others move as usual',
    from: [10, 90, 0],
    to: [0, 30, 70],
    usable: [1, 2],
    want: [0, 70, 30],
    goesOn: true,
  },
  { what: 'a level is new', from: [100], to: [50, 50], want: [80, 20], goesOn: true },
  { what: 'a level is gone', from: [50, 50], to: [100], want: [100] },
]

test('shares move when it is worth it, no further than allowed', () => {
  for (const { what, from, to, isMoving = false, usable, want, goesOn = false } of ROWS) {
    const target = shares(...to)
    const move = moveShares({
      previous: { byLevel: shares(...from), changedMs: 0, isMoving },
      target,
      usable: new Set(usable ?? target.keys()),
      policy,
      nowMs: 1_000_000,
    })
    assert.deepEqual([...move.shares.byLevel], [...shares(...want)], what)
    assert.equal(move.shares.isMoving, goesOn, what)
    assert.equal(move.nextMs, goesOn ? 1_010_000 : null, what)
  }
})
