import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoffMs, retryAfterMs } from './backoff.ts'

test('doubles from 250 ms to 30 s, with full jitter', () => {
  const highest = [1, 2, 3, 4, 8, 30, 1_000].map((failures) => backoffMs(failures, () => 1))
  assert.deepEqual(highest, [250, 500, 1_000, 2_000, 30_000, 30_000, 30_000])
  assert.equal(
    backoffMs(10, () => 0),
    0,
  )
})

test('never comes back before the server wants it, and not all at once then', () => {
  assert.equal(
    backoffMs(1, () => 0, 7_000),
    7_000,
  )
  assert.ok(backoffMs(5, () => 0.5, 7_000) > 7_000)
})

const NOW = Date.parse('2026-11-23T12:00:00Z')
const HEADERS: [string | undefined, number][] = [
  [undefined, 0],
  ['', 0],
  ['120', 120_000],
  ['-5', 0],
  ['soon', 0],
  ['999999999', 3_600_000],
  ['Mon, 23 Nov 2026 12:00:30 GMT', 30_000],
  ['Mon, 23 Nov 2026 11:00:00 GMT', 0],
]
for (const [header, want] of HEADERS) {
  test(`Retry-After ${header ?? 'absent'} is ${want} ms`, () => {
    assert.equal(retryAfterMs(header, NOW), want)
  })
}
