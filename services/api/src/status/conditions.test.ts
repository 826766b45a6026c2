import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { PathReport, StatusReport } from '@lvs-fleet/contract'
import { conditionsOf, STALE_AFTER_SECONDS, type HostFacts } from './conditions.ts'

const now = new Date('2026-01-01T00:00:00Z')
const published = { epoch: 1, generation: 3, digest: 'd' }
const report: StatusReport = {
  seq: 1,
  bootId: 'b',
  agentVersion: '1',
  kernelVersion: '6.1',
  source: 'control-plane',
  applied: published,
  rejected: null,
  held: null,
  counts: { services: 1, destinations: 2 },
  failedOps: [],
  failedOpCount: 0,
  drift: [],
  driftCount: 0,
  drains: [],
  drainCount: 0,
  drainProgress: [],
  weights: [],
  weightCount: 0,
  weightChanges: null,
  capabilities: null,
  doctor: null,
  health: null,
  paths: null,
}
const healthy: HostFacts = {
  published,
  report,
  reportReceivedAt: now,
  now,
  enrolled: true,
  quarantine: null,
}
const failed = { op: '+ service tcp/10.0.0.1:80 rr', code: 'ENOENT', message: 'no such scheduler' }
const rejection = { code: 'shrink-held' as const, detail: '2 of 2', epoch: 1, generation: 4 }
const repair = { at: '2026-01-01T00:00:00Z', op: '+ service tcp/10.0.0.1:80 rr' }
const long = new Date(now.getTime() - (STALE_AFTER_SECONDS + 1) * 1000)

function measured(narrowCount: number): PathReport {
  const narrow = {
    realServer: 'rs-b1',
    path: 'ipv4 to 10.2.0.11 by tun ipip',
    vip: '10.1.0.100',
    mtu: 1480,
    carries: 1380,
  }
  return {
    narrow: Array.from({ length: narrowCount }, () => narrow),
    narrowCount,
    fittingCount: 3,
    unknownCount: 0,
  }
}

const ROWS: { name: string; facts: HostFacts; on: string[]; says?: RegExp }[] = [
  { name: 'published is applied', facts: healthy, on: ['converged'] },
  {
    name: 'no agent',
    facts: { ...healthy, enrolled: false, report: null },
    on: [],
    says: /not enrolled/,
  },
  {
    name: 'a path that carries less than was computed',
    facts: { ...healthy, report: { ...report, paths: measured(2) } },
    on: ['converged', 'mtu-too-small'],
    says: /path to rs-b1 \(ipv4 to 10.2.0.11 by tun ipip\) carries 1380 of 1480 bytes; and 1 more$/,
  },
  {
    name: 'paths that answer nothing are unknown, not an alarm',
    facts: { ...healthy, report: { ...report, paths: { ...measured(0), unknownCount: 2 } } },
    on: ['converged'],
    says: /3 paths carry what was computed; 2 answer nothing and are unknown/,
  },
  { name: 'nothing published', facts: { ...healthy, published: null }, on: [] },
  {
    name: 'no report yet',
    facts: { ...healthy, report: null, reportReceivedAt: null },
    on: ['stale'],
  },
  {
    name: 'an older generation is applied',
    facts: { ...healthy, published: { ...published, generation: 4 } },
    on: [],
    says: /generation 3 is applied, 4 is published/,
  },
  {
    name: 'the same generation of an older epoch is applied',
    facts: { ...healthy, published: { ...published, epoch: 2 } },
    on: [],
  },
  {
    name: 'an op failed',
    facts: { ...healthy, report: { ...report, failedOps: [failed], failedOpCount: 1 } },
    on: [],
    says: /no such scheduler/,
  },
  {
    name: 'something was repaired',
    facts: { ...healthy, report: { ...report, drift: [repair], driftCount: 7 } },
    on: ['converged', 'drifted'],
    says: /7 repaired/,
  },
  {
    name: 'a state is refused',
    facts: { ...healthy, report: { ...report, rejected: rejection } },
    on: ['converged', 'rejected'],
    says: /shrink-held: 2 of 2/,
  },
  {
    name: 'an operator stopped it',
    facts: { ...healthy, report: { ...report, held: 'incident 42' } },
    on: ['converged', 'held'],
    says: /incident 42/,
  },
  {
    name: 'not heard of for long',
    facts: { ...healthy, reportReceivedAt: long },
    on: ['converged', 'stale'],
  },
]

describe('conditionsOf', () => {
  for (const { name, facts, on, says } of ROWS) {
    it(name, () => {
      const conditions = conditionsOf(facts)
      assert.deepEqual(
        conditions.filter(({ status }) => status).map(({ type }) => type),
        on,
      )
      if (says !== undefined) {
        assert.ok(
          conditions.some(({ message }) => says.test(message)),
          JSON.stringify(conditions),
        )
      }
    })
  }
})
