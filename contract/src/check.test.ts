import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ip } from './address.ts'
import {
  checkStateSchema,
  describeCheck,
  healthOf,
  type CheckHealth,
  type CheckProbe,
  type CheckState,
  type HealthVerdict,
} from './check.ts'
import { diffChecks } from './diff.ts'
import { EMPTY_HOST_PART, hostPartSchema } from './host-state.ts'

function check(key: string, fields: Partial<CheckState> = {}): CheckState {
  return {
    key,
    probe: { kind: 'tcp' },
    realServer: 'rs-1',
    address: ip('10.1.0.11'),
    port: 80,
    way: { is: 'direct' },
    intervalMs: 5_000,
    downIntervalMs: 5_000,
    jitterPercent: 10,
    timeoutMs: 2_000,
    rise: 2,
    fall: 3,
    graceMs: 0,
    damping: null,
    ...fields,
  }
}

function health(key: string, state: HealthVerdict): CheckHealth {
  const { realServer, address, port } = check(key)
  const since = '2026-11-23T12:00:00.000Z'
  return {
    key,
    kind: 'tcp',
    realServer,
    address,
    port,
    state,
    class: null,
    since,
    detail: '',
    latencyMs: null,
  }
}

const HTTP: CheckProbe = {
  kind: 'http',
  method: 'GET',
  path: '/health',
  host: null,
  statuses: [{ from: 200, to: 299 }],
  bodyContains: null,
  bodyMatches: null,
  tls: null,
}
const TLS = { serverName: null, verify: true, caFile: null, certificateFile: null, keyFile: null }
const PATH = {
  is: 'path',
  mark: 1,
  vip: ip('10.1.0.100'),
  port: 80,
  source: ip('10.1.0.10'),
} as const

describe('a check in a state', () => {
  it('is read as it was written, and one line says it', () => {
    const rows: readonly (readonly [CheckState, string])[] = [
      [check('a'), 'tcp 10.1.0.11:80'],
      [check('b', { address: ip('fd01::11') }), 'tcp [fd01::11]:80'],
      [check('c', { probe: { kind: 'icmp' }, port: 0 }), 'icmp 10.1.0.11'],
      [check('d', { probe: HTTP }), 'http://10.1.0.11:80/health'],
      [check('e', { probe: { ...HTTP, tls: TLS } }), 'https://10.1.0.11:80/health'],
      [check('f', { way: PATH }), 'tcp 10.1.0.11:80 through 10.1.0.100'],
    ]
    for (const [state, line] of rows) {
      assert.deepEqual(checkStateSchema.parse(state), state)
      assert.equal(describeCheck(state), line)
    }
  })

  it('is none in states that were written before there were checks', () => {
    const { checks: _, ...older } = EMPTY_HOST_PART
    assert.deepEqual(hostPartSchema.parse(older), EMPTY_HOST_PART)
  })

  it('begins and ends by its key', () => {
    assert.deepEqual(diffChecks([check('a'), check('b')], [check('b'), check('c')]), [
      '+ check tcp 10.1.0.11:80',
      '- check tcp 10.1.0.11:80',
    ])
  })
})

describe('the health of a destination', () => {
  const ROWS: readonly (readonly [HealthVerdict[], HealthVerdict | undefined])[] = [
    [[], undefined],
    [['up'], 'up'],
    [['up', 'unknown'], 'unknown'],
    [['unknown', 'held'], 'held'],
    [['held', 'down', 'up'], 'down'],
  ]
  for (const [states, want] of ROWS) {
    it(`of ${states.join(', ') || 'no checks'} is ${want ?? 'nothing'}`, () => {
      const all = states.map((state, i) => health(`k${i}`, state))
      const results = new Map(all.map((one) => [one.key, one]))
      const keys = all.map(({ key }) => key)
      assert.equal(healthOf({ checks: keys }, results)?.state, want)
      assert.equal(healthOf({ checks: keys.toReversed() }, results)?.state, want)
    })
  }

  it('is nothing where nobody checks, or nobody has begun to', () => {
    assert.equal(healthOf({}, new Map()), undefined)
    assert.equal(healthOf({ checks: ['gone'] }, new Map()), undefined)
  })
})
