/** What docs/cost.md says of money follows from what was counted and the prices. `UPDATE_DOCS=1` writes the page anew. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  ASSUMED,
  lambdaCost,
  machineCost,
  requestsOf,
  sumOf,
  type Counted,
} from '../../bench/cost/cost.ts'
import { DIRECTORS, loadCounted, PAGE_FILE, pageOf, writePage } from '../../bench/cost/page.ts'
import { PRICES, SOURCES } from '../../bench/cost/prices.ts'

/** Round figures: one poll in ten seconds, twelve reports and five tokens an hour. */
const COUNTED: Counted = {
  date: '2026-11-29',
  machine: 'none',
  quietSeconds: 3_600,
  pollSeconds: 10,
  poll: { count: 360, cpuMs: 10, bytes: 500 },
  report: { count: 12, cpuMs: 20, bytes: 400 },
  token: { count: 5, cpuMs: 30, bytes: 900 },
  change: { polls: 0, reports: 2, bytes: 3_000 },
  logBytes: 0,
}
const near = (got: number, wanted: number) =>
  assert.ok(Math.abs(got - wanted) < Math.abs(wanted) * 1e-9, `${got} is not ${wanted}`)

test('polls follow the interval, reports and tokens the clock, and changes add reports', () => {
  const ten = requestsOf(COUNTED, 10)
  near(ten.polls, 730 * 360)
  near(ten.tokens, 730 * 5)
  near(ten.reports, 730 * 12 + 2 * ASSUMED.changesPerDirectorAndDay * (730 / 24))
  const thirty = requestsOf(COUNTED, 30)
  near(thirty.polls, ten.polls / 3)
  near(thirty.reports, ten.reports)
  near(sumOf(thirty), thirty.polls + thirty.reports + thirty.tokens)
})

test('a function costs by request and by millisecond, and its database does not', () => {
  const one = lambdaCost(COUNTED, 1, 10)
  const thousand = lambdaCost(COUNTED, 1_000, 10)
  near(thousand.functionRequests, 1_000 * one.functionRequests)
  near(one.functionRequests, (one.requests / 1e6) * 0.2)
  near(one.httpApi, one.requests / 1e6)
  const { polls, reports, tokens } = requestsOf(COUNTED, 10)
  const share = 512 / 1_769
  const ms = polls * (10 / share + 1) + reports * (20 / share + 10) + tokens * (30 / share + 10)
  const seconds = ms / 1_000
  const housekeeping = (730 * 6 * ASSUMED.housekeepingSeconds) / 1
  near(
    one.functionSeconds,
    (seconds + housekeeping) * ASSUMED.lambdaMemoryGb * PRICES.lambdaGbSecond,
  )
  assert.ok(thousand.database < one.database * 1.3)
  near(one.endpoints, 2 * 2 * 730 * 0.01)
  const parts = ['functionRequests', 'functionSeconds', 'transfer', 'logs', 'database', 'endpoints']
  near(
    one.total,
    parts.reduce(
      (sum, part) => sum + Number(Object.entries(one).find(([k]) => k === part)?.[1]),
      0,
    ),
  )
})

test('a machine costs the same for any number but for what it sends', () => {
  const few = machineCost(COUNTED, 10)
  const many = machineCost(COUNTED, 1_000)
  near(few.machine, many.machine)
  near(few.machine, 730 * (0.0336 + 0.005) + 30 * 0.08)
  near(many.transfer, 100 * few.transfer)
  near(few.requests, 10 * sumOf(requestsOf(COUNTED, ASSUMED.heldPollSeconds)))
})

test('the page is what the code makes of the count that is kept', () => {
  const counted = loadCounted()
  if (process.env['UPDATE_DOCS'] === '1') writePage(counted)
  assert.equal(readFileSync(PAGE_FILE, 'utf8'), pageOf(counted), 'UPDATE_DOCS=1 writes it anew')
})

test('the page has a row for each number of directors, each price, and where it is from', () => {
  const page = pageOf(loadCounted())
  for (const directors of DIRECTORS) {
    const rows = page.match(new RegExp(`^\\| ${directors.toLocaleString('en-US')} \\|`, 'gm'))
    assert.equal(rows?.length, 5, `four intervals and the machine for ${directors}`)
  }
  const said = Object.values(PRICES).filter((price) => typeof price === 'number')
  assert.ok(said.every((price) => page.includes(String(price)) || page.includes(price.toFixed(10))))
  for (const [, source] of SOURCES) assert.match(source, /^https:\/\/aws\.amazon\.com\//)
  assert.ok(page.includes(PRICES.region) && page.includes(PRICES.date))
})
