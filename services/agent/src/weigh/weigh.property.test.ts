/** What holds for any policy and any history of health, in the order in which operators would ask for it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Level, Policy, ServiceState } from '@lvs-fleet/contract'
import fc from 'fast-check'
import { destination, service } from '../../../../test/fakes/states.ts'
import type { HealthOf } from './health.ts'
import { WHOLE } from './level-shares.ts'
import { distanceBetween } from './move-shares.ts'
import { weigh, type Weighed } from './weigh.ts'

const policies: fc.Arbitrary<Policy> = fc.record({
  overprovisioningFactor: fc.constantFrom(1, 1.2, 1.4, 2, 10),
  panicThresholdPercent: fc.constantFrom(0, 30, 50, 100),
  hysteresisPercent: fc.integer({ min: 0, max: 30 }),
  maxChangePercent: fc.integer({ min: 1, max: 100 }),
  changeIntervalSeconds: fc.integer({ min: 1, max: 30 }),
  slowStartSeconds: fc.constantFrom(0, 10, 60),
  capacities: fc.constantFrom([], [{ site: 's1', maxSharePercent: 25 }]),
})

const levels: fc.Arbitrary<Level> = fc.constantFrom<Level[]>(0, 0, 0, 1, 1, 2, 'sorry')

const services: fc.Arbitrary<ServiceState> = fc
  .record({
    policy: fc.option(policies, { nil: undefined }),
    scheduler: fc.constantFrom('wrr', 'wlc', 'mh', 'rr', 'fo'),
    ends: fc.array(
      fc.record({
        level: levels,
        site: fc.integer({ min: 0, max: 2 }),
        weight: fc.oneof(fc.constant(0), fc.constant(1), fc.integer({ min: 1, max: 1_000 })),
        full: fc.integer({ min: 0, max: 1_000 }),
      }),
      { minLength: 1, maxLength: 10 },
    ),
  })
  .map(({ policy, scheduler, ends }) => {
    const destinations = ends.map(({ level, site, weight, full }, i) =>
      destination(`10.2.0.${i + 1}`, {
        weight,
        ...(policy === undefined
          ? {}
          : { placement: { level, site: `s${site}`, fullWeight: Math.max(weight, full) } }),
      }),
    )
    return service('10.1.0.100', destinations, {
      scheduler,
      ...(policy === undefined ? {} : { policy }),
    })
  })

/** What changes from one weighing to the next: whose health flips, and how much later it is. */
const steps = fc.array(
  fc.record({
    flips: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 4 }),
    laterMs: fc.integer({ min: 0, max: 40_000 }),
  }),
  { minLength: 1, maxLength: 20 },
)

type Moment = {
  readonly weighed: Weighed
  readonly isUp: (i: number) => boolean
  readonly nowMs: number
}

/** All moments of a history; each is weighed twice, which must make no difference. */
function live(
  given: ServiceState,
  history: readonly { flips: readonly number[]; laterMs: number }[],
) {
  const moments: Moment[] = []
  let down: ReadonlySet<number> = new Set()
  let nowMs = 5_000
  let last: Weighed | undefined
  for (const { flips, laterMs } of history) {
    nowMs += laterMs
    down = new Set([...Array(10).keys()].filter((i) => down.has(i) !== flips.includes(i)))
    const held = down
    const indexOf = new Map(given.destinations.map(({ realServer }, i) => [realServer, i]))
    const healthOf: HealthOf = ({ realServer }) => ({
      state: held.has(indexOf.get(realServer) ?? -1) ? 'down' : 'up',
      sinceMs: nowMs,
      why: 'test',
    })
    const inputs = {
      healthOf,
      now: { monotonicMs: nowMs, wallMs: nowMs + 1_000_000 },
      before: last === undefined ? undefined : given,
      memory: last?.memory,
    }
    const weighed = weigh(given, inputs)
    const again = weigh(given, inputs)
    assert.deepEqual(again.explain(), weighed.explain())
    assert.deepEqual({ ...again, explain: null }, { ...weighed, explain: null })
    moments.push({ weighed, isUp: (i) => !held.has(i), nowMs })
    last = weighed
  }
  return moments
}

const holds = (check: (given: ServiceState, moments: readonly Moment[]) => void) =>
  fc.assert(
    fc.property(services, steps, (given, history) => check(given, live(given, history))),
    { numRuns: 300 },
  )

const levelOf = (given: ServiceState, i: number): Level =>
  given.destinations[i]?.placement?.level ?? 0
const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0)

test('somebody has a weight unless intent gives nobody one, and nobody to whom it gives none', () => {
  holds((given, moments) => {
    const isWanted = given.destinations.some(({ weight }) => weight > 0)
    for (const { weighed } of moments) {
      const weights = weighed.service.destinations.map(({ weight }) => weight)
      assert.equal(sum(weights) > 0, isWanted)
      for (const [i, weight] of weights.entries()) {
        assert.ok(Number.isInteger(weight) && weight >= 0 && weight <= 65_535)
        if (given.destinations[i]?.weight === 0) assert.equal(weight, 0)
      }
    }
  })
})

test('who is wanted and up in a level that has a share is never at 0', () => {
  holds((given, moments) => {
    for (const { weighed, isUp } of moments) {
      for (const [i, { weight }] of weighed.service.destinations.entries()) {
        const share = weighed.memory.shares?.byLevel.get(levelOf(given, i)) ?? WHOLE
        const isWanted = (given.destinations[i]?.weight ?? 0) > 0
        if (isWanted && isUp(i) && share > 0 && given.policy !== undefined) assert.ok(weight > 0)
      }
    }
  })
})

test('shares sum to the whole, and weights give each level its share within one percent', () => {
  holds((given, moments) => {
    for (const { weighed } of moments) {
      const shares = weighed.memory.shares?.byLevel
      if (shares === undefined) continue
      assert.equal(sum([...shares.values()]), WHOLE)
      if (given.scheduler === 'rr' || given.scheduler === 'fo') continue
      const weights = weighed.service.destinations.map(({ weight }) => weight)
      if (sum(weights) === 0) continue
      for (const [level, share] of shares) {
        const own = sum(weights.filter((_, i) => levelOf(given, i) === level))
        assert.ok(Math.abs(own / sum(weights) - share / WHOLE) < 0.01, `level ${level}`)
      }
    }
  })
})

test('no more than the cap moves in an interval, except away from levels with nobody left', () => {
  holds((given, moments) => {
    const { policy } = given
    if (policy === undefined) return
    for (const [n, { weighed, isUp, nowMs }] of moments.entries()) {
      const before = moments[n - 1]?.weighed.memory.shares
      const now = weighed.memory.shares
      if (before === undefined || now === undefined) continue
      const hasSomebody = (level: Level) =>
        given.destinations.some(
          ({ weight }, i) => weight > 0 && isUp(i) && levelOf(given, i) === level,
        )
      const holders = [...before.byLevel].filter(([, share]) => share > 0).map(([level]) => level)
      if (holders.includes('sorry') || !holders.every(hasSomebody)) continue
      const moved = distanceBetween(before.byLevel, now.byLevel)
      assert.ok(moved <= policy.maxChangePercent * 100, `${moved} moved at once`)
      if (moved === 0) continue
      assert.ok(nowMs - before.changedMs >= policy.changeIntervalSeconds * 1_000)
    }
  })
})

test('left alone it comes to rest, and asks for nothing then', () => {
  fc.assert(
    fc.property(services, steps, (given, history) => {
      const last = live(given, history).at(-1)
      assert.ok(last !== undefined)
      let { weighed, nowMs } = last
      const healthOf: HealthOf = ({ realServer }) => {
        const i = given.destinations.findIndex((one) => one.realServer === realServer)
        return { state: last.isUp(i) ? 'up' : 'down', sinceMs: nowMs, why: 'test' }
      }
      for (let rounds = 0; weighed.nextMs !== null; rounds++) {
        assert.ok(rounds < 250, 'it never comes to rest')
        assert.ok(weighed.nextMs > nowMs)
        nowMs = weighed.nextMs
        const now = { monotonicMs: nowMs, wallMs: nowMs }
        weighed = weigh(given, { healthOf, now, before: given, memory: weighed.memory })
      }
    }),
    { numRuns: 100 },
  )
})
