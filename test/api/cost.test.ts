/** The count in bench/results/cost.json, from which docs/cost.md is computed, is what an agent asks for today. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countRequests } from '../../bench/cost/count.ts'
import { requestsOf } from '../../bench/cost/cost.ts'
import { loadCounted } from '../../bench/cost/page.ts'

test('a quarter of an hour of an agent, at another interval, has the requests that the page says', async () => {
  const quietSeconds = 900
  const pollSeconds = 20
  const counted = await countRequests({ pollSeconds, quietSeconds })
  const kept = loadCounted()
  assert.deepEqual(
    [counted.change.polls, counted.change.reports],
    [kept.change.polls, kept.change.reports],
  )
  const share = quietSeconds / (730 * 3_600)
  const quiet = { ...kept, change: { polls: 0, reports: 0, bytes: 0 } }
  const said = requestsOf(quiet, pollSeconds)
  for (const [kind, wanted] of [
    ['poll', said.polls * share],
    ['report', said.reports * share],
    ['token', said.tokens * share],
  ] as const) {
    const got = counted[kind].count
    // Where the quarter begins in a period decides on one more or less.
    assert.ok(Math.abs(got - wanted) <= 1.01, `${kind}: counted ${got}, the page says ${wanted}`)
  }
})
