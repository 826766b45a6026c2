/** One service at a time: what each factor does to the weights, and what is said about it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DestinationState, OverrideState, Policy, ServiceState } from '@lvs-fleet/contract'
import { destination, service } from '../../../../test/fakes/states.ts'
import type { Health } from './health.ts'
import { weigh, type Memory, type Weighed } from './weigh.ts'

const POLICY: Policy = {
  overprovisioningFactor: 1.4,
  panicThresholdPercent: 50,
  hysteresisPercent: 5,
  maxChangePercent: 20,
  changeIntervalSeconds: 10,
  slowStartSeconds: 0,
  capacities: [],
}
const WALL = Date.parse('2026-11-24T12:00:00Z')

/** A service over time: what is down, and the clocks. */
class Bench {
  down = new Set<string>()
  unknown = new Set<string>()
  nowMs = 1_000_000
  wallSkewMs = 0
  last: Weighed | undefined
  private before: ServiceState | undefined
  service: ServiceState

  constructor(given: ServiceState) {
    this.service = given
  }

  weigh(memory: Memory | undefined = this.last?.memory): Weighed {
    this.last = weigh(this.service, {
      healthOf: ({ realServer }) => this.health(realServer),
      now: { monotonicMs: this.nowMs, wallMs: WALL + this.nowMs - 1_000_000 + this.wallSkewMs },
      before: this.before,
      memory,
    })
    this.before = this.service
    return this.last
  }

  weights(): number[] {
    return this.weigh().service.destinations.map(({ weight }) => weight)
  }

  after(ms: number): this {
    this.nowMs += ms
    return this
  }

  private health(realServer: string): Health {
    const state = this.down.has(realServer)
      ? 'down'
      : this.unknown.has(realServer)
        ? 'unknown'
        : 'up'
    return { state, sinceMs: this.nowMs - 500, why: 'connection refused', class: 'server-down' }
  }
}

/** `a1 a2 b1`: the letter is the site, its order the level. */
function members(names: string, fields: Partial<DestinationState> = {}): DestinationState[] {
  const text = names.split(' ')
  const sites = [...new Set(text.map((name) => name.slice(0, 1)))]
  return text.map((name, i) => {
    const site = name.slice(0, 1)
    const weight = fields.weight ?? 100
    return destination(`10.2.0.${i + 1}`, {
      weight,
      placement: { level: sites.indexOf(site), site, fullWeight: weight },
      ...fields,
      realServer: name,
    })
  })
}

function bench(names: string, policy: Partial<Policy> = {}, fields: Partial<ServiceState> = {}) {
  const given = service('10.1.0.100', members(names), { ...fields, protocol: 'tcp' })
  return new Bench({ ...given, policy: { ...POLICY, ...policy } })
}

const plain = (names: string) => new Bench(service('10.1.0.100', members(names)))

function overridden(kind: Partial<OverrideState> & Pick<OverrideState, 'kind'>): OverrideState {
  const fields = { name: 'o', reason: 'test', owner: 'me', expiresAt: WALL + 60_000 }
  return kind.kind === 'weight' ? { ...fields, weight: 10, ...kind } : { ...fields, ...kind }
}

test('where every factor is 1 the service is the very same object', () => {
  const one = plain('a1 a2')
  assert.equal(one.weigh().service, one.service)
  assert.equal(one.last?.nextMs, null)
  assert.equal(one.last?.memory.members.size, 0)
})

test('without a policy the dead get nothing, unless all are dead', () => {
  const one = plain('a1 a2 a3')
  one.down.add('a1').add('a2')
  assert.deepEqual(one.weights(), [0, 0, 100])
  assert.deepEqual(
    one.last?.explain().map(({ destination: end, weight }) => [end, weight]),
    [
      ['10.2.0.1:80', 0],
      ['10.2.0.2:80', 0],
    ],
  )
  one.down.add('a3')
  assert.deepEqual(one.weights(), [100, 100, 100])
  one.down.delete('a2')
  assert.deepEqual(one.weights(), [0, 100, 0])
})

test('what is said of a weight stays the same while nothing changes', () => {
  for (const one of [plain('a1 a2'), bench('a1 a2 b1')]) {
    one.service = {
      ...one.service,
      destinations: one.service.destinations.map((end) => ({
        ...end,
        overrides: [overridden({ kind: 'weight', weight: 7, expiresAt: WALL + 86_400_000 })],
      })),
    }
    one.down.add('a1')
    const first = one.weigh().explain()
    assert.ok(first.length > 0)
    assert.deepEqual(one.after(60_000).weigh().explain(), first)
  }
})

test('a destination of weight 0 stays at 0, whatever else is dead or overridden', () => {
  const drained = members('a1 a2')
  const one = new Bench(
    service('10.1.0.100', [
      { ...drained[0], weight: 0, overrides: [overridden({ kind: 'up' })] } as DestinationState,
      { ...drained[1] } as DestinationState,
    ]),
  )
  one.down.add('a2')
  assert.deepEqual(one.weights(), [0, 100])
  one.service = service('10.1.0.100', members('a1 a2', { weight: 0 }))
  assert.deepEqual(one.weights(), [0, 0])
})

test('the first level has it all until less than 1/1.4 of it is up, then it spills in steps', () => {
  const one = bench('a1 a2 a3 a4 b1 b2')
  assert.deepEqual(one.weights(), [100, 100, 100, 100, 0, 0])
  one.down.add('a1')
  assert.deepEqual(one.after(60_000).weights(), [0, 100, 100, 100, 0, 0])
  one.down.add('a2')
  // 50 % up: 70 % stay, but no more than 20 points go at once.
  assert.deepEqual(one.after(60_000).weights(), [0, 0, 100, 100, 25, 25])
  assert.equal(one.last?.nextMs, one.nowMs + 10_000)
  assert.deepEqual(one.after(9_999).weights(), [0, 0, 100, 100, 25, 25])
  assert.deepEqual(one.after(1).weights(), [0, 0, 7, 7, 3, 3])
  assert.equal(one.last?.nextMs, null)
  const b1 = one.last?.explain().find(({ realServer }) => realServer === 'b1')
  const share = b1?.factors.find(({ name }) => name === 'levelShare')
  assert.deepEqual(share, {
    name: 'levelShare',
    value: 0.3,
    since: new Date(WALL + one.nowMs - 1_000_000).toISOString(),
    why: 'level 1 takes 30 %',
  })
})

test('a level with nobody left gives up its share at once', () => {
  const one = bench('a1 a2 b1 b2')
  one.weights()
  one.down.add('a1').add('a2')
  assert.deepEqual(one.after(1).weights(), [0, 0, 100, 100])
})

test('a sorry server answers only while nobody else does', () => {
  const sorry = destination('10.9.0.1', {
    realServer: 'sorry',
    weight: 100,
    placement: { level: 'sorry', site: 'a', fullWeight: 100 },
  })
  const given = bench('a1 b1').service
  const one = new Bench({ ...given, destinations: [...given.destinations, sorry] })
  assert.deepEqual(one.weights(), [100, 0, 0])
  one.down.add('a1')
  assert.deepEqual(one.after(60_000).weights(), [0, 100, 0])
  one.down.add('b1')
  assert.deepEqual(one.after(1).weights(), [0, 0, 100])
  one.down.add('sorry')
  assert.deepEqual(one.after(1).weights(), [100, 0, 0], 'the dead are better than nobody')
  one.down.delete('sorry')
  one.weights()
  one.down.delete('a1')
  assert.deepEqual(one.after(1).weights(), [100, 0, 0])
})

test('panic: too few are up and no other level has room, so health is not looked at', () => {
  const one = bench('a1 a2 a3 a4')
  one.down.add('a1').add('a2')
  assert.deepEqual(one.weights(), [0, 0, 100, 100], '50 % is not under the threshold')
  one.down.add('a3')
  assert.deepEqual(one.weights(), [100, 100, 100, 100])
  one.service = bench('a1 a2 a3 a4', { panicThresholdPercent: 0 }).service
  assert.deepEqual(one.weights(), [0, 0, 0, 100])
  const other = bench('a1 a2 a3 a4 b1 b2', { maxChangePercent: 100 })
  other.down.add('a1').add('a2').add('a3')
  other.weigh()
  assert.deepEqual(other.weights().slice(0, 3), [0, 0, 0], 'level 1 has room')
})

test('capacity of a site: what it cannot take goes on to the next level', () => {
  const one = bench('a1 a2 b1 c1', {
    capacities: [{ site: 'b', maxSharePercent: 10 }],
    maxChangePercent: 100,
  })
  one.down.add('a1')
  // 70 % to a, 10 % to b, 20 % to c.
  assert.deepEqual(one.weights(), [0, 7, 1, 2])
})

test('capacity of a site within one level: the others take the rest, and all exceed it alike when they cannot', () => {
  const flat = members('a1 b1').map((member) => ({
    ...member,
    placement: { level: 0, site: member.realServer.slice(0, 1), fullWeight: 100 },
  }))
  const given = service('10.1.0.100', flat, {})
  const policy = { ...POLICY, capacities: [{ site: 'b', maxSharePercent: 20 }] }
  assert.deepEqual(new Bench({ ...given, policy }).weights(), [160, 40])
  const both = [...policy.capacities, { site: 'a', maxSharePercent: 40 }]
  assert.deepEqual(
    new Bench({ ...given, policy: { ...policy, capacities: both } }).weights(),
    [2, 1],
  )
})

test('slow start: who comes back or is new ramps in ten steps; who was there at the start does not', () => {
  const one = bench('a1 a2', { slowStartSeconds: 100, panicThresholdPercent: 0 })
  assert.deepEqual(one.weights(), [100, 100])
  one.down.add('a1')
  assert.deepEqual(one.after(1_000).weights(), [0, 100])
  one.down.clear()
  assert.deepEqual(one.after(1_000).weights(), [10, 100])
  assert.equal(one.last?.nextMs, one.nowMs + 20_000)
  assert.deepEqual(one.after(20_000).weights(), [20, 100])
  assert.deepEqual(one.after(79_999).weights(), [90, 100])
  assert.deepEqual(one.after(1).weights(), [100, 100])
  assert.equal(one.last?.memory.members.size, 0)
  const added = bench('a1 a2 a3', { slowStartSeconds: 100 }).service
  one.service = added
  assert.deepEqual(one.weights(), [100, 100, 10])
})

test('while a level ramps its share comes back with it', () => {
  const one = bench('a1 a2 b1 b2', { slowStartSeconds: 100, maxChangePercent: 100 })
  one.down.add('a1').add('a2')
  one.weigh()
  assert.deepEqual(one.weights(), [0, 0, 100, 100])
  one.down.clear()
  assert.deepEqual(one.after(60_000).weights(), [5, 5, 31, 31], '10 % x 1.4 of it is there')
  assert.deepEqual(one.after(80_000).weights(), [80, 80, 0, 0], '80 % x 1.4 is enough')
  assert.deepEqual(one.after(20_000).weights(), [100, 100, 0, 0])
})

test('overrides: weight, down and up, until they expire by the wall clock', () => {
  const [a1, a2] = members('a1 a2')
  const withOverride = (override: OverrideState) =>
    new Bench(
      service('10.1.0.100', [
        { ...a1, overrides: [override] } as DestinationState,
        a2 as DestinationState,
      ]),
    )
  const weighted = withOverride(overridden({ kind: 'weight', weight: 7 }))
  assert.deepEqual(weighted.weights(), [7, 100])
  assert.equal(weighted.last?.nextMs, weighted.nowMs + 60_000)
  const factor = weighted.last?.explain()[0]?.factors.find(({ name }) => name === 'override')
  assert.equal(factor?.value, 0.07)
  assert.equal(factor?.why, 'o: weight 7 until 2026-11-24T12:01:00.000Z by me: test')
  assert.deepEqual(weighted.after(60_000).weights(), [100, 100])
  const jumped = withOverride(overridden({ kind: 'down' }))
  assert.deepEqual(jumped.weights(), [0, 100])
  jumped.wallSkewMs = 3_600_000
  assert.deepEqual(jumped.weights(), [100, 100])
  const down = withOverride(overridden({ kind: 'down' }))
  down.down.add('a2')
  assert.deepEqual(down.weights(), [0, 100], 'also where nobody else is up')
  const up = withOverride(overridden({ kind: 'up' }))
  up.down.add('a1').add('a2')
  assert.deepEqual(up.weights(), [100, 0])
})

test('the first override that has not expired counts', () => {
  const [a1] = members('a1')
  const first = overridden({ kind: 'weight', weight: 1, expiresAt: WALL + 10_000 })
  const second = overridden({ kind: 'weight', weight: 2 })
  const one = new Bench(
    service('10.1.0.100', [{ ...a1, overrides: [first, second] } as DestinationState]),
  )
  assert.deepEqual(one.weights(), [1])
  assert.deepEqual(one.after(10_000).weights(), [2])
})

test('an unknown verdict keeps what was known for a minute; never known counts as up', () => {
  const one = plain('a1 a2')
  one.unknown.add('a1')
  assert.deepEqual(one.weights(), [100, 100])
  one.down.add('a1')
  one.weigh()
  one.down.clear()
  assert.deepEqual(one.weights(), [0, 100])
  assert.equal(one.last?.nextMs, one.nowMs - 500 + 60_000)
})

test('schedulers that are not proportional get intent weights or 0', () => {
  const one = bench('a1 a2 b1 b2', { maxChangePercent: 100 }, { scheduler: 'rr' })
  one.down.add('a1')
  assert.deepEqual(one.weights(), [0, 100, 100, 100])
})

test('a drained member counts as missing in its level', () => {
  const given = bench('a1 a2 b1', { maxChangePercent: 100 }).service
  const [a1, ...others] = given.destinations
  const one = new Bench({
    ...given,
    destinations: [{ ...a1, weight: 0 } as DestinationState, ...others],
  })
  assert.deepEqual(one.weights(), [0, 7, 3])
})
