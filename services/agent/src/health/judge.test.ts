import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { beginJudging, judge, type Judged, type Rules } from './judge.ts'

const PLAIN: Rules = { rise: 2, fall: 3, graceMs: 0, damping: null }
const DAMPED: Rules = {
  rise: 1,
  fall: 1,
  graceMs: 0,
  damping: { downsMax: 2, windowMs: 10_000, holdMs: 3_000 },
}

/** `+` good, `-` bad, one a second. States after each, by their first letters. */
function run(results: string, rules: Rules): string {
  let judged = beginJudging(0)
  let states = ''
  for (const [i, result] of results.split('').entries()) {
    judged = judge(judged, result === '+', (i + 1) * 1_000, rules)
    states += judged.state[0]
  }
  return states
}

const ROWS: readonly { name: string; rules: Rules; given: string; want: string }[] = [
  { name: 'is up at the first good answer', rules: PLAIN, given: '+', want: 'u' },
  { name: 'is unknown until fall bad answers', rules: PLAIN, given: '---', want: 'uud' },
  { name: 'goes down after fall in a row', rules: PLAIN, given: '+--+---', want: 'uuuuuud' },
  { name: 'comes up after rise in a row', rules: PLAIN, given: '---+-++', want: 'uuddddu' },
  {
    name: 'does not count bad answers in the grace, nor do those count later',
    rules: { ...PLAIN, graceMs: 4_000 },
    given: '-------',
    want: 'uuuuudd',
  },
  {
    name: 'holds what flaps until it was good for long enough',
    rules: DAMPED,
    given: '+-+-++++',
    want: 'ududhhhu',
  },
  {
    name: 'begins the hold anew with each bad answer',
    rules: { ...DAMPED, fall: 2 },
    given: '+--+--++-++++',
    want: 'uuduudhhhhhuu',
  },
  {
    name: 'goes down out of a hold',
    rules: DAMPED,
    given: '+-+-+--',
    want: 'ududhdd',
  },
  {
    name: 'forgets what is older than the window',
    rules: DAMPED,
    given: '+-+++++++++++-+',
    want: 'uduuuuuuuuuuudu',
  },
]

describe('the judge', () => {
  for (const { name, rules, given, want } of ROWS) {
    it(name, () => assert.equal(run(given, rules), want))
  }

  it('says when the state began, and only then', () => {
    let judged = judge(beginJudging(0), true, 1_000, PLAIN)
    assert.equal(judged.sinceMs, 1_000)
    judged = judge(judged, true, 2_000, PLAIN)
    assert.equal(judged.sinceMs, 1_000)
  })
})

const rules: fc.Arbitrary<Rules> = fc.record({
  rise: fc.integer({ min: 1, max: 5 }),
  fall: fc.integer({ min: 1, max: 5 }),
  graceMs: fc.integer({ min: 0, max: 10_000 }),
  damping: fc.option(
    fc.record({
      downsMax: fc.integer({ min: 1, max: 4 }),
      windowMs: fc.integer({ min: 1_000, max: 60_000 }),
      holdMs: fc.integer({ min: 1_000, max: 30_000 }),
    }),
  ),
})
const results = fc.array(
  fc.record({ isGood: fc.boolean(), afterMs: fc.integer({ min: 0, max: 5_000 }) }),
  { maxLength: 200 },
)

type Step = { readonly before: Judged; readonly after: Judged; readonly isGood: boolean }

function steps(given: Rules, list: readonly { isGood: boolean; afterMs: number }[]): Step[] {
  let before = beginJudging(0)
  let nowMs = 0
  return list.map(({ isGood, afterMs }) => {
    nowMs += afterMs
    const after = judge(before, isGood, nowMs, given)
    const step = { before, after, isGood }
    before = after
    return step
  })
}

describe('whatever the answers', () => {
  it('a good one never takes a server out, a bad one never brings it in', () => {
    fc.assert(
      fc.property(rules, results, (given, list) => {
        for (const { before, after, isGood } of steps(given, list)) {
          if (before.state === after.state) continue
          if (isGood) assert.notEqual(after.state, 'down')
          else assert.equal(after.state, 'down')
        }
      }),
    )
  })

  it('going down takes fall bad ones in a row, coming back rise good ones', () => {
    fc.assert(
      fc.property(rules, results, (given, list) => {
        const done = steps(given, list)
        for (const [i, { before, after, isGood }] of done.entries()) {
          if (before.state === after.state) continue
          const isWakening = before.state === 'unknown' && isGood
          const count = isGood ? (before.state === 'down' ? given.rise : 1) : given.fall
          const last = done.slice(Math.max(0, i + 1 - count), i + 1)
          assert.equal(last.length, isWakening ? 1 : count)
          assert.ok(last.every((step) => step.isGood === isGood))
        }
      }),
    )
  })

  it('enough good ones bring it up, enough bad ones take it down', () => {
    fc.assert(
      fc.property(rules, results, fc.boolean(), (given, list, isGood) => {
        let judged = steps(given, list).at(-1)?.after ?? beginJudging(0)
        let nowMs = 1e9
        const holdMs = given.damping?.holdMs ?? 0
        const count = (isGood ? given.rise : given.fall) + Math.ceil(holdMs / 1_000) + 1
        for (let i = 0; i < count; i++) judged = judge(judged, isGood, (nowMs += 1_000), given)
        assert.equal(judged.state, isGood ? 'up' : 'down')
      }),
    )
  })

  it('what it remembers is bounded', () => {
    fc.assert(
      fc.property(rules, results, (given, list) => {
        for (const { after } of steps(given, list)) {
          assert.ok(after.downsMs.length <= (given.damping?.downsMax ?? 0))
        }
      }),
    )
  })
})
