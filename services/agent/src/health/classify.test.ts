import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ip, type HealthClass } from '@lvs-fleet/contract'
import { classify, needsSecondProbe } from './classify.ts'
import type { Failure, ProbeResult } from './probe.ts'

const good: ProbeResult = { is: 'good', latencyMs: 1, detail: '' }
const bad = (failure: Failure): ProbeResult => ({ is: 'bad', failure, detail: '' })
const cannot: ProbeResult = { is: 'cannot-run', detail: '' }

const ROWS: readonly (readonly [Failure, ProbeResult | undefined, HealthClass])[] = [
  ['wrong', undefined, 'server-down'],
  ['refused', undefined, 'server-down'],
  ['silent', undefined, 'unreachable'],
  ['refused', good, 'path-down'],
  ['silent', good, 'path-down'],
  ['silent', bad('refused'), 'path-down'],
  ['refused', bad('refused'), 'server-down'],
  ['refused', bad('silent'), 'server-down'],
  ['silent', bad('silent'), 'server-down'],
  ['silent', bad('wrong'), 'server-down'],
  ['silent', cannot, 'unreachable'],
]

describe('what is broken', () => {
  for (const [failure, direct, want] of ROWS) {
    const second =
      direct === undefined ? 'nothing' : direct.is === 'bad' ? direct.failure : direct.is
    it(`${failure} and ${second}: ${want}`, () => assert.equal(classify(failure, direct), want))
  }

  it('a second probe is made only where it can tell something', () => {
    const path = {
      is: 'path',
      mark: 1,
      vip: ip('10.1.0.100'),
      port: 80,
      source: ip('10.1.0.10'),
    } as const
    assert.equal(needsSecondProbe(path, 'silent'), true)
    assert.equal(needsSecondProbe(path, 'wrong'), false)
    assert.equal(needsSecondProbe({ is: 'direct' }, 'silent'), false)
  })
})
