/** Rows: votes of directors and verdicts that stand → verdicts to make, renew and end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CheckHealth } from '@lvs-fleet/contract'
import { checkHealth, healthReport } from '../../../../test/fixtures/health-reports.ts'
import { twoSites, edit } from '../../../../test/fixtures/two-sites.ts'
import { compileFleet } from '../compile/compile.ts'
import { countVotes, decideQuorum, type Count, type Voter } from './quorum.ts'

const NOW = new Date('2026-11-24T12:00:00Z')
const RULES = new Set(['web'])
const NAME = 'quorum-rs-a1-in-web'

function count(down: number, notDown: number, quorum: Partial<Count['quorum']> = {}): Count {
  const names = (prefix: string, n: number) =>
    Array.from({ length: n }, (_, i) => `${prefix}${i + 1}`)
  return {
    pool: 'web',
    realServer: 'rs-a1',
    quorum: { downPercent: 51, directorsMin: 2, ...quorum },
    down: names('down', down),
    notDown: names('up', notDown),
  }
}

function verdict(leftMs: number, pool = 'web') {
  return {
    name: NAME,
    realServer: 'rs-a1',
    pool,
    kind: 'quorum' as const,
    weight: null,
    reason: 'down for 2 of 2 directors: down1, down2',
    owner: 'quorum',
    expiresAt: new Date(NOW.getTime() + leftMs).toISOString(),
  }
}

const MINUTES = 60_000
const ROWS: {
  name: string
  count: Count | null
  standing?: ReturnType<typeof verdict>
  rounds: number
  put?: number
  remove?: number
}[] = [
  { name: 'a count once is none', count: count(2, 0), rounds: 1 },
  { name: 'twice in a row it is', count: count(2, 0), rounds: 2, put: 1 },
  { name: 'half is no majority', count: count(2, 2), rounds: 9 },
  { name: 'three of four are one', count: count(3, 1), rounds: 2, put: 1 },
  { name: 'three of four are not all', count: count(3, 1, { downPercent: 100 }), rounds: 9 },
  { name: 'one director decides nothing', count: count(1, 0), rounds: 9 },
  {
    name: 'nor do two where three are asked for',
    count: count(2, 0, { directorsMin: 3 }),
    rounds: 9,
  },
  {
    name: 'a verdict that is young is left alone',
    count: count(2, 0),
    standing: verdict(5 * MINUTES),
    rounds: 9,
  },
  {
    name: 'one that would run out is renewed at once',
    count: count(2, 0),
    standing: verdict(3 * MINUTES),
    rounds: 1,
    put: 1,
  },
  {
    name: 'one is not ended by a count or two',
    count: count(0, 2),
    standing: verdict(5 * MINUTES),
    rounds: 2,
  },
  {
    name: 'but by three',
    count: count(0, 2),
    standing: verdict(5 * MINUTES),
    rounds: 3,
    remove: 1,
  },
  {
    name: 'one that too few can judge is neither renewed nor ended',
    count: count(0, 1),
    standing: verdict(1 * MINUTES),
    rounds: 9,
  },
  { name: 'nor one that nobody can judge', count: null, standing: verdict(1 * MINUTES), rounds: 9 },
  { name: 'what has run out goes', count: null, standing: verdict(-1), rounds: 1, remove: 1 },
  {
    name: 'so does what has no rule any more',
    count: null,
    standing: verdict(5 * MINUTES, 'other'),
    rounds: 1,
    remove: 1,
  },
]
for (const { name, count: one, standing, rounds, put = 0, remove = 0 } of ROWS) {
  test(name, () => {
    const counts = one === null ? [] : [one]
    const overrides = standing === undefined ? [] : [standing]
    let streaks: ReadonlyMap<string, number> = new Map()
    for (let round = 1; round <= rounds; round++) {
      const decision = decideQuorum(counts, overrides, { streaks, rules: RULES, now: NOW })
      const isLast = round === rounds
      assert.equal(decision.put.length, isLast ? put : 0, `round ${round}`)
      assert.deepEqual(decision.remove, isLast && remove === 1 ? [NAME] : [], `round ${round}`)
      streaks = decision.streaks
    }
  })
}

test('a verdict names who says so, lasts ten minutes, and its name stays the same', () => {
  const streaks = new Map([[NAME, 1]])
  const { put } = decideQuorum([count(3, 1)], [], { streaks, rules: RULES, now: NOW })
  assert.deepEqual(put, [
    {
      ...verdict(10 * MINUTES),
      reason: 'down for 3 of 4 directors: down1, down2, down3',
    },
  ])
})

test('an operator’s override of the same name or member is not touched', () => {
  const own = { ...verdict(-1), kind: 'down' as const }
  const { put, remove } = decideQuorum([], [own], { streaks: new Map(), rules: RULES, now: NOW })
  assert.deepEqual([put, remove], [[], []])
})

const fleet = twoSites((document) => {
  edit(document, 'pools', 'web', { check: { kind: 'tcp' }, quorum: {} })
})
const { hosts } = compileFleet(fleet)

type Said = Partial<Pick<CheckHealth, 'state' | 'class'>>

/** What a director says of rs-a1; of the others that they are up. */
function voter(
  director: string,
  said: Said | null,
  { isCut = false, isRecent = true } = {},
): Voter {
  const state = hosts.get(`director/${director}`)?.state
  assert.ok(state !== undefined)
  if (said === null) return { director, services: state.services, report: null, isRecent: false }
  const checks = state.checks.map((check) =>
    checkHealth(check, check.realServer === 'rs-a1' ? said : {}),
  )
  const report = { ...healthReport(checks), ...(isCut ? { checks: [] } : {}) }
  return { director, services: state.services, report, isRecent }
}

const VOTES: { name: string; said: Voter; down: boolean | null }[] = [
  { name: 'down', said: voter('dir-a', { state: 'down', class: 'server-down' }), down: true },
  { name: 'up', said: voter('dir-a', { state: 'up' }), down: false },
  { name: 'held', said: voter('dir-a', { state: 'held' }), down: false },
  {
    name: 'a broken way to a server that lives',
    said: voter('dir-a', { state: 'down', class: 'path-down' }),
    down: false,
  },
  { name: 'unknown', said: voter('dir-a', { state: 'unknown' }), down: null },
  { name: 'silence', said: voter('dir-a', null), down: null },
  {
    name: 'a list that was cut',
    said: voter('dir-a', { state: 'down' }, { isCut: true }),
    down: null,
  },
  {
    name: 'down, minutes ago',
    said: voter('dir-a', { state: 'down' }, { isRecent: false }),
    down: null,
  },
  {
    name: 'up, minutes ago',
    said: voter('dir-a', { state: 'up' }, { isRecent: false }),
    down: false,
  },
]
for (const { name, said, down } of VOTES) {
  test(`the vote of one that says ${name}`, () => {
    const counts = countVotes(fleet.pools, fleet.virtualServices, [said])
    const mine = counts.find(({ realServer }) => realServer === 'rs-a1')
    assert.deepEqual(
      [mine?.down ?? [], mine?.notDown ?? []],
      [down === true ? ['dir-a'] : [], down === false ? ['dir-a'] : []],
    )
  })
}

test('a pool without a rule costs no counting', () => {
  const plain = twoSites((document) => edit(document, 'pools', 'web', { check: { kind: 'tcp' } }))
  const said = [voter('dir-a', { state: 'down' }), voter('dir-b', { state: 'down' })]
  assert.deepEqual(countVotes(plain.pools, plain.virtualServices, said), [])
})
