/**
 * Many agents, one seed: answers are lost, late, doubled and stale, agents die in the middle of anything,
 * people meddle with kernels. Every step: nothing foreign changes, no generation goes back, no service that
 * should answer is empty. In the end, left alone, every kernel is as published.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareVersions, serviceKey, type HostState, type ServiceState } from '@lvs-fleet/contract'
import { createFakeClock } from '../fakes/fake-clock.ts'
import { createFakeController, type Published } from '../fakes/fake-controller.ts'
import { createFakeHost, type FakeHost } from '../fakes/fake-host.ts'
import { Crash } from '../fakes/fake-kernel.ts'
import { addForeign, randomState, shapeOf, shapeWanted } from '../fakes/random-states.ts'
import { seeded, type Seeded } from '../fakes/seeded.ts'

const SEEDS = (process.env['SIM_SEEDS'] ?? '1,2,3,4').split(',').map(Number)
const AGENTS = 30
/** An idle time that somebody else sets. */
const BY_HAND_SECONDS = 77
const STEPS = 120
/** In fewer lives than quarantine needs, so that every state may run. */
const CRASH_CHANCE = 0.08

type Actor = {
  readonly name: string
  readonly host: FakeHost
  readonly foreign: readonly ServiceState[]
  /** Everything ever published for it; the wire may deliver any of it at any time. */
  readonly history: { readonly published: Published; readonly state: HostState }[]
  highest: Published['manifest'] | undefined
  livesInARow: number
}

const controller = createFakeController()

for (const seed of SEEDS) {
  test(`simulation with seed ${seed}`, async () => {
    const random = seeded(seed)
    const clock = createFakeClock()
    const actors: Actor[] = []
    for (let i = 0; i < AGENTS; i++) {
      const host = await createFakeHost({ controller, clock })
      const foreign = addForeign(host.kernel)
      actors.push({
        name: `seed ${seed} agent ${i}`,
        host,
        foreign,
        history: [],
        highest: undefined,
        livesInARow: 0,
      })
      await host.start()
    }
    for (let step = 0; step < STEPS; step++) {
      clock.advance(random.below(4_000))
      if (random.chance(0.1)) clock.jumpWall((random.next() - 0.5) * 2 * 86_400_000)
      for (const actor of actors) await act(actor, random)
    }
    clock.advance(400_000)
    for (const actor of actors) await calm(actor)
  })
}

async function act(actor: Actor, random: Seeded): Promise<void> {
  const { host } = actor
  if (random.chance(0.15)) await publish(actor, random)
  if (random.chance(0.15)) meddle(actor, random)
  const willDie = actor.livesInARow < 2 && random.chance(CRASH_CHANCE)
  if (willDie) arm(host, random.below(25))
  const writes = host.kernel.writeCount()
  try {
    const delivered = random.chance(0.35) ? pickDelivery(actor, random) : undefined
    if (delivered !== undefined) await host.offer(delivered)
    else if (random.chance(0.2))
      await host.agent.offer([random.pick(['', 'null', '[]', '<html>'])], {
        source: 'control-plane',
      })
    if (random.chance(0.7)) await host.agent.drainRound()
    if (random.chance(0.6)) await host.agent.verifyRound()
    disarm(host)
  } catch (error) {
    if (!(error instanceof Crash)) throw error
    disarm(host)
    actor.livesInARow++
    await host.start()
  }
  if (!willDie && random.chance(0.3)) {
    await host.agent.markHarmless()
    actor.livesInARow = 0
  }
  if (actor.history.length === 0)
    assert.equal(host.kernel.writeCount(), writes, `${actor.name}: wrote without a state`)
  check(actor)
  neverBack(actor)
}

async function publish(actor: Actor, random: Seeded): Promise<void> {
  const state = randomState(random)
  const generation = actor.history.length + 1
  const shrinkAllowedGeneration = random.chance(0.8) ? generation : 0
  const published = await controller.publish(state, { generation, shrinkAllowedGeneration })
  actor.history.push({ published, state })
}

/** Mostly the newest; now and then one that was on its way for long. */
function pickDelivery({ history }: Actor, random: Seeded): Published | undefined {
  if (history.length === 0) return undefined
  return random.chance(0.8) ? history.at(-1)?.published : random.pick(history).published
}

function meddle({ host }: Actor, random: Seeded): void {
  const { kernel } = host
  const [mark] = kernel.marks.keys()
  if (mark !== undefined && random.chance(0.2)) kernel.marks.delete(mark)
  if (random.chance(0.1)) kernel.timeouts = { ...kernel.timeouts, udp: BY_HAND_SECONDS }
  if (random.chance(0.1)) kernel.syncDaemons.clear()
  const ours = [...kernel.services].flatMap(([key, s]) =>
    key.includes('/10.9.') || key === 'fwmark/7/ipv4' ? [] : [s],
  )
  if (ours.length === 0) return
  const target = random.pick(ours)
  const [first] = target.destinations.values()
  if (random.chance(0.2)) host.kernel.services.delete(serviceKey(target))
  else if (first !== undefined && random.chance(0.5)) first.config = { ...first.config, weight: 77 }
  else if (first !== undefined) first.active = random.below(3)
}

function check({ name, host, foreign, ...actor }: Actor): void {
  for (const s of foreign) {
    const standing = host.kernel.services.get(serviceKey(s))
    assert.equal(
      standing?.destinations.size,
      s.destinations.length,
      `${name}: foreign ${serviceKey(s)} changed`,
    )
  }
  const applied = host.agent.version
  if (applied === null) return
  const published = actor.history[applied.generation - 1]?.published.manifest
  assert.equal(applied.digest, published?.digest, `${name}: a state that was never published`)
}

/** Left alone with the newest state, the kernel gets there within a few rounds. */
async function calm(actor: Actor): Promise<void> {
  const { name, host, foreign, history } = actor
  const random = seeded(1)
  await publish(actor, random)
  const last = history.at(-1)
  if (last === undefined) throw new Error('nothing was published')
  const allowed = await controller.publish(last.state, {
    generation: history.length,
    shrinkAllowedGeneration: history.length,
  })
  await host.offer(allowed)
  for (const service of host.kernel.services.values())
    for (const d of service.destinations.values()) d.active = 0
  for (let round = 0; round < 6; round++) {
    host.clock.advance(31_000)
    await host.agent.drainRound()
    await host.agent.verifyRound()
  }
  assert.deepEqual(withoutByHand(actor), shapeWanted(last.state, foreign), name)
  assert.deepEqual(host.agent.snapshot().failedOps, [], name)
  const writes = host.kernel.writeCount()
  await host.agent.verifyRound()
  assert.equal(host.kernel.writeCount(), writes, name)
}

function arm(host: FakeHost, at: number): void {
  let count = 0
  const step = (): void => {
    if (count++ >= at) throw new Crash('dead')
  }
  host.kernel.afterOp = step
  host.disk.beforeEffect = step
  host.disk.afterEffect = step
}

function disarm(host: FakeHost): void {
  host.kernel.afterOp = undefined
  host.disk.beforeEffect = undefined
  host.disk.afterEffect = undefined
}

/** The version in force never goes back, over all lives of one agent; quarantine is out of reach here. */
function neverBack(actor: Actor): void {
  const applied = actor.host.agent.version
  if (applied === null) return
  if (actor.highest !== undefined)
    assert.ok(compareVersions(applied, actor.highest) >= 0, `${actor.name} went back`)
  actor.highest = actor.history[applied.generation - 1]?.published.manifest
}

/** What somebody set where no state in force says it is his, and stays. */
function withoutByHand({ host, history }: Actor): string[] {
  const isTheirs = history.at(-1)?.state.timeouts.length === 0
  return shapeOf(host.kernel).map((line) =>
    isTheirs && line === `udp timeout ${BY_HAND_SECONDS}` ? 'udp timeout 300' : line,
  )
}
