import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  ip,
  type CheckHealth,
  type CheckState,
  type HealthClass,
  type HealthReport,
  type HealthVerdict,
} from '@lvs-fleet/contract'
import { checkHealth, healthReport } from '../../../../test/fixtures/health-reports.ts'
import { mergeHealth, type Observer } from './health.ts'

const check: CheckState = {
  key: 'k1',
  probe: { kind: 'tcp' },
  realServer: 'rs-1',
  address: ip('10.1.0.11'),
  port: 80,
  way: { is: 'direct' },
  intervalMs: 1_000,
  downIntervalMs: 1_000,
  jitterPercent: 0,
  timeoutMs: 500,
  rise: 1,
  fall: 1,
  graceMs: 0,
  damping: null,
}

function health(state: HealthVerdict, broken: HealthClass | null, key = 'k1'): CheckHealth {
  const detail = state === 'up' ? 'connected' : 'no answer'
  return checkHealth({ ...check, key }, { state, class: broken, detail })
}

function reportOf(
  checks: readonly CheckHealth[],
  counts: Partial<HealthReport['counts']> = {},
): HealthReport {
  const report = healthReport(checks)
  return { ...report, counts: { ...report.counts, ...counts } }
}

function sees(director: string, state: HealthVerdict, broken: HealthClass | null = null): Observer {
  const site = director.split('-')[1]?.[0] ?? ''
  return { director, site, checks: [check], report: reportOf([health(state, broken)]) }
}
const silent = (director: string): Observer => ({ ...sees(director, 'up'), report: null })

const ROWS: readonly { name: string; given: Observer[]; want: string }[] = [
  {
    name: 'up for all',
    given: [sees('dir-a', 'up'), sees('dir-b', 'up')],
    want: 'up: answers 2 directors',
  },
  {
    name: 'down for all is the server',
    given: [sees('dir-a', 'down', 'unreachable'), sees('dir-b', 'down', 'unreachable')],
    want: 'down: down for 2 directors: no answer',
  },
  {
    name: 'down from one site is the way from there',
    given: [
      sees('dir-a', 'up'),
      sees('dir-b1', 'down', 'unreachable'),
      sees('dir-b2', 'down', 'unreachable'),
    ],
    want: 'partial: the way from site b is broken (dir-b1, dir-b2): it answers dir-a',
  },
  {
    name: 'down for one director of a site is its own way',
    given: [sees('dir-b1', 'down', 'path-down'), sees('dir-b2', 'up')],
    want: 'partial: the way from dir-b1 is broken: it answers dir-b2',
  },
  {
    name: 'silent for the only site that looks may be either',
    given: [sees('dir-a', 'down', 'unreachable'), silent('dir-b')],
    want: 'down: silent, for site a alone looks: the server, or the way from there: no answer',
  },
  {
    name: 'a refusal is the server, whoever looks',
    given: [sees('dir-a', 'down', 'server-down')],
    want: 'down: down for 1 director: no answer',
  },
  {
    name: 'a broken path for all, and a server that lives',
    given: [sees('dir-a', 'down', 'path-down')],
    want: 'down: the way to it is broken for 1 director, it answers at its own address: no answer',
  },
  {
    name: 'held is told apart',
    given: [sees('dir-a', 'held'), sees('dir-b', 'up')],
    want: 'held: answers, after going up and down too often: no answer',
  },
  { name: 'nobody said anything', given: [silent('dir-a')], want: 'unknown: not reported' },
]

describe('health of a real server', () => {
  for (const { name, given, want } of ROWS) {
    it(name, () => {
      const [merged, ...rest] = mergeHealth(given)
      assert.equal(`${merged?.verdict}: ${merged?.message}`, want)
      assert.equal(rest.length, 0)
      assert.equal(merged?.views.length, given.length)
    })
  }

  it('does not depend on who is asked first', () => {
    for (const { given } of ROWS) {
      const [there] = mergeHealth(given)
      const [back] = mergeHealth(given.toReversed())
      assert.equal(there?.verdict, back?.verdict)
    }
  })

  it('what a cut report leaves out is up, where it lists all that is not', () => {
    const other = { ...check, key: 'k2', realServer: 'rs-2' }
    const observer = (report: HealthReport): Observer => ({
      director: 'dir-a',
      site: 'a',
      checks: [check, other],
      report,
    })
    const up = mergeHealth([observer(reportOf([health('up', null)], { up: 2 }))])
    assert.deepEqual(
      up.map(({ verdict }) => verdict),
      ['up', 'up'],
    )
    const cut = mergeHealth([observer(reportOf([health('down', 'server-down')], { down: 2 }))])
    assert.deepEqual(
      cut.map(({ realServer, verdict }) => [realServer, verdict]),
      [
        ['rs-1', 'down'],
        ['rs-2', 'unknown'],
      ],
    )
  })

  it('comes worst first', () => {
    const named = (name: string, state: HealthVerdict): Observer => ({
      ...sees('dir-a', state, state === 'down' ? 'server-down' : null),
      checks: [{ ...check, realServer: name }],
    })
    const merged = mergeHealth([named('rs-a', 'up'), named('rs-b', 'down'), named('rs-c', 'held')])
    assert.deepEqual(
      merged.map(({ realServer }) => realServer),
      ['rs-b', 'rs-c', 'rs-a'],
    )
  })
})
