/** The agent dies after any effect, on disk or in the kernel; the next start and poll make everything right. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serviceKey, type HostState, type ServiceState } from '@lvs-fleet/contract'
import { createFakeController, type Published } from '../fakes/fake-controller.ts'
import { createFakeHost, type FakeHost } from '../fakes/fake-host.ts'
import { Crash } from '../fakes/fake-kernel.ts'
import { addForeign, randomState, shapeOf, shapeWanted } from '../fakes/random-states.ts'
import { seeded } from '../fakes/seeded.ts'

const CRASH_POINTS = 2_400

const controller = createFakeController()

type Scenario = { readonly states: readonly HostState[]; readonly published: readonly Published[] }

async function createScenario(seed: number): Promise<Scenario> {
  const random = seeded(seed)
  // The third is the first that is kept as a change.
  const states = [randomState(random), randomState(random), randomState(random)]
  const published: Published[] = []
  for (const [i, state] of states.entries()) {
    published.push(
      await controller.publish(state, { generation: i + 1, shrinkAllowedGeneration: i + 1 }),
    )
  }
  return { states, published }
}

/** Counts effects and dies at number `at`; gives how many there were. */
function armed(host: FakeHost, at: number): { readonly count: () => number } {
  let count = 0
  let isDead = false
  const step = (): void => {
    if (isDead || count++ === at) {
      isDead = true
      throw new Crash(`effect ${at}`)
    }
  }
  host.kernel.beforeOp = step
  host.kernel.afterOp = step
  host.disk.beforeEffect = step
  host.disk.afterEffect = step
  return { count: () => count }
}

function disarm(host: FakeHost): void {
  host.kernel.beforeOp = undefined
  host.kernel.afterOp = undefined
  host.disk.beforeEffect = undefined
  host.disk.afterEffect = undefined
}

/** All states, one after the other, with time for drains. */
async function live(host: FakeHost, scenario: Scenario): Promise<void> {
  await host.start()
  for (const published of scenario.published) {
    await host.offer(published)
    await settle(host, 2)
  }
}

async function settle(host: FakeHost, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    host.clock.advance(31_000)
    await host.agent.drainRound()
    await host.agent.verifyRound()
  }
}

/** Services that have somebody to answer in all states, and so must have at every moment in between. */
function alwaysUp(states: readonly HostState[]): string[] {
  const up = (services: readonly ServiceState[]): string[] =>
    services.filter((s) => s.destinations.some((d) => d.weight > 0)).map(serviceKey)
  const [first = [], ...others] = states.map(({ services }) => up(services))
  return first.filter((key) => others.every((keys) => keys.includes(key)))
}

test(`converges after a death at any of ${CRASH_POINTS} effects, touching nothing foreign`, async () => {
  let points = 0
  for (let seed = 1; points < CRASH_POINTS; seed++) {
    const scenario = await createScenario(seed)
    const rehearsal = await createFakeHost({ controller })
    addForeign(rehearsal.kernel)
    const counter = armed(rehearsal, Number.POSITIVE_INFINITY)
    await live(rehearsal, scenario)
    const effects = counter.count()
    assert.ok(effects > 10, `seed ${seed} has effects`)
    for (let at = 0; at < effects && points < CRASH_POINTS; at++, points++) {
      await crashAt(scenario, at, `seed ${seed} effect ${at}`)
    }
  }
})

async function crashAt(scenario: Scenario, at: number, name: string): Promise<void> {
  const host = await createFakeHost({ controller })
  const foreign = addForeign(host.kernel)
  armed(host, at)
  await assert.rejects(live(host, scenario), Crash, name)
  disarm(host)

  const last = scenario.published.at(-1)
  const wanted = scenario.states.at(-1)
  if (last === undefined || wanted === undefined) throw new Error('a scenario has states')
  const guarded = alwaysUp(scenario.states).filter((key) => host.kernel.usable(key) > 0)
  host.kernel.afterOp = () => {
    for (const key of guarded) assert.ok(host.kernel.usable(key) > 0, `${name}: ${key} is empty`)
  }
  await host.start()
  await host.offer(last)
  await settle(host, 4)
  assert.deepEqual(shapeOf(host.kernel), shapeWanted(wanted, foreign), name)
  assert.equal(host.agent.snapshot().applied?.generation, 3, name)
  assert.deepEqual(host.agent.snapshot().failedOps, [], name)
  const writes = host.kernel.writeCount()
  await host.agent.verifyRound()
  assert.equal(host.kernel.writeCount(), writes, name)
}
