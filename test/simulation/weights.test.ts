/**
 * Health that flaps, agents that die between any two messages, people who set weights by hand, clocks that jump. After
 * each round the kernel holds what is in force, and somebody always has a weight; left alone it comes to rest.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { destinationKey, serviceKey, type Policy } from '@lvs-fleet/contract'
import { createFakeHealth } from '../fakes/fake-health.ts'
import { createFakeHost, type FakeHost } from '../fakes/fake-host.ts'
import { Crash } from '../fakes/fake-kernel.ts'
import { seeded, type Seeded } from '../fakes/seeded.ts'
import { destination, hostState, service } from '../fakes/states.ts'

const SEEDS = (process.env['SIM_SEEDS'] ?? '1,2,3,4').split(',').map(Number)
const STEPS = 300
const NAMES = ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']
const POLICY: Policy = {
  overprovisioningFactor: 1.4,
  panicThresholdPercent: 30,
  hysteresisPercent: 5,
  maxChangePercent: 20,
  changeIntervalSeconds: 5,
  slowStartSeconds: 20,
  capacities: [{ site: 'b', maxSharePercent: 40 }],
}

const ends = (port: number) =>
  NAMES.map((name, i) =>
    destination(`10.2.0.${i + 1}`, {
      realServer: name,
      port,
      weight: 10 * (i + 1),
      placement: {
        level: 'abc'.indexOf(name.slice(0, 1)),
        site: name.slice(0, 1),
        fullWeight: 10 * (i + 1),
      },
    }),
  )

function stateAt(random: Seeded, wallMs: number) {
  const overrides = random.chance(0.5)
    ? []
    : [
        {
          kind: random.pick(['down', 'up'] as const),
          name: 'o',
          reason: 'test',
          owner: 'test',
          expiresAt: wallMs + random.below(60_000),
        },
      ]
  const first = ends(80).map((end) => (end.realServer === 'a1' ? { ...end, overrides } : end))
  return hostState([
    service('10.1.0.1', first, { policy: POLICY }),
    service('10.1.0.2', ends(81).slice(0, random.pick([4, 6]))),
  ])
}

for (const seed of SEEDS) {
  test(`weights with seed ${seed}`, async () => {
    const random = seeded(seed)
    const health = createFakeHealth()
    const host = await createFakeHost({ health })
    await host.start()
    let generation = 0
    for (let step = 0; step < STEPS; step++) {
      host.clock.advance(random.below(3_000))
      if (random.chance(0.02)) host.clock.jumpWall((random.next() - 0.5) * 86_400_000)
      if (random.chance(0.3)) {
        const state = random.pick(['up', 'down', 'unknown'] as const)
        health.say(random.pick(NAMES), state, host.clock.monotonicMs())
      }
      if (random.chance(0.1)) meddle(host, random)
      const isNew = generation === 0 || random.chance(0.05)
      await survive(host, random, async () => {
        if (isNew) await publish(host, random, ++generation)
        await host.agent.weighRound()
        if (random.chance(0.3)) await host.agent.verifyRound()
      })
      // What was set by hand is found by a verify round, not by a change of weights.
      await host.agent.weighRound()
      await host.agent.verifyRound()
      check(host)
    }
    await rest(host)
  })
}

async function publish(host: FakeHost, random: Seeded, generation: number): Promise<void> {
  const state = stateAt(random, host.clock.wallMs())
  await host.offer(
    await host.controller.publish(state, { generation, shrinkAllowedGeneration: generation }),
  )
}

/** Now and then the agent dies after one of its messages, and starts again. */
async function survive(host: FakeHost, random: Seeded, work: () => Promise<void>): Promise<void> {
  let left = random.chance(0.2) ? random.below(4) : Number.POSITIVE_INFINITY
  host.kernel.afterOp = () => {
    if (left-- <= 0) throw new Crash()
  }
  try {
    await work()
    host.kernel.afterOp = undefined
  } catch (error) {
    host.kernel.afterOp = undefined
    if (!(error instanceof Crash)) throw error
    await host.start()
  }
  await host.agent.markHarmless()
}

function meddle(host: FakeHost, random: Seeded): void {
  for (const one of host.kernel.services.values()) {
    for (const standing of one.destinations.values()) {
      if (random.chance(0.2)) standing.config = { ...standing.config, weight: random.below(50) }
    }
  }
}

function check(host: FakeHost): void {
  for (const wanted of host.agent.inForce.inForce.services.values()) {
    const standing = host.kernel.services.get(serviceKey(wanted))?.destinations
    const weights = wanted.destinations.map(
      (end) => standing?.get(destinationKey(end))?.config.weight,
    )
    assert.deepEqual(
      weights,
      wanted.destinations.map(({ weight }) => weight),
    )
    assert.ok(weights.some((weight) => weight !== undefined && weight > 0))
  }
  assert.equal(host.agent.snapshot().failedOpCount, 0)
}

async function rest(host: FakeHost): Promise<void> {
  for (let minute = 0; minute < 60; minute++) {
    host.clock.advance(60_000)
    await host.agent.weighRound()
  }
  const writes = host.kernel.writeCount()
  for (let minute = 0; minute < 10; minute++) {
    host.clock.advance(60_000)
    await host.agent.weighRound()
  }
  assert.equal(host.kernel.writeCount(), writes)
}
