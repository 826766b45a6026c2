/** Whatever operators, clients, clocks and crashes do: nothing with a connection goes before its deadline, and all goes after. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DestinationState } from '@lvs-fleet/contract'
import fc from 'fast-check'
import { createFakeHost, type FakeHost } from '../fakes/fake-host.ts'
import { destination, hostState, service } from '../fakes/states.ts'

const VIP = '10.1.0.100'
const KEY = `tcp/${VIP}:80`
const ENDS = ['10.2.0.1', '10.2.0.2', '10.2.0.3']

type Step =
  | { readonly do: 'drain'; readonly end: number; readonly seconds: number }
  | { readonly do: 'cancel'; readonly end: number }
  | { readonly do: 'connections'; readonly end: number; readonly count: number }
  | { readonly do: 'pass'; readonly seconds: number }
  | { readonly do: 'jump'; readonly hours: number }
  | { readonly do: 'restart' }

const end = fc.integer({ min: 0, max: ENDS.length - 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('drain'), end, seconds: fc.integer({ min: 1, max: 120 }) }),
  fc.record({ do: fc.constant('cancel'), end }),
  fc.record({ do: fc.constant('connections'), end, count: fc.integer({ min: 0, max: 2 }) }),
  fc.record({ do: fc.constant('pass'), seconds: fc.integer({ min: 1, max: 60 }) }),
  fc.record({ do: fc.constant('jump'), hours: fc.integer({ min: -100, max: 100 }) }),
  fc.constant({ do: 'restart' } as const),
)

/** One run: what is asked for, and when by the boot clock each drain may cut. */
class Run {
  readonly host: FakeHost
  /** By index: deadline by the wall clock, as published. */
  private readonly wall = new Map<number, number>()
  private readonly boot = new Map<number, number>()
  private generation = 0

  constructor(host: FakeHost) {
    this.host = host
    host.kernel.beforeOp = (op) => {
      if (op.kind !== 'destination.remove') return
      const { address, port } = op.destination
      const found = host.kernel.services.get(KEY)?.destinations.get(`${address}:${port}`)
      const deadline = this.boot.get(ENDS.findIndex((one) => one === address))
      assert.ok(deadline !== undefined, `${address} does not drain`)
      const isLate = host.clock.monotonicMs() >= deadline
      assert.ok(isLate || found?.active === 0, `${address} was cut before its deadline`)
    }
  }

  async take(one: Step): Promise<void> {
    const { clock, kernel } = this.host
    if (one.do === 'pass') return this.pass(one.seconds)
    if (one.do === 'jump') return clock.jumpWall(one.hours * 3_600_000)
    if (one.do === 'restart') {
      // After lives that were long enough: three short ones in a row quarantine a state, which is another promise.
      await this.host.agent.markHarmless()
      return this.host.start()
    }
    if (one.do === 'connections') {
      if (this.isStanding(one.end)) kernel.setConnections(KEY, `${ENDS[one.end]}:80`, one.count)
      return
    }
    if (one.do === 'cancel') {
      this.wall.delete(one.end)
      this.boot.delete(one.end)
    } else {
      this.wall.set(one.end, clock.wallMs() + one.seconds * 1_000)
      this.boot.set(one.end, clock.monotonicMs() + one.seconds * 1_000)
    }
    await this.publish()
  }

  async publish(): Promise<void> {
    const ends = ENDS.map((address, i): DestinationState => {
      const deadline = this.wall.get(i)
      if (deadline === undefined) return destination(address, { weight: 100 })
      const drain = { name: `d${i}`, reason: 'x', owner: 'me', deadline, idleSeconds: 5 }
      return destination(address, { weight: 0, drain: { ...drain, waitForTemplates: false } })
    })
    const state = hostState([service(VIP, ends)])
    const published = await this.host.controller.publish(state, { generation: ++this.generation })
    const offer = await this.host.offer(published)
    assert.ok(offer.is === 'applied' || offer.is === 'unchanged', offer.is)
  }

  async pass(seconds: number): Promise<void> {
    const { agent, clock } = this.host
    for (let i = 0; i < seconds; i++) {
      clock.advance(1_000)
      if (agent.hasDrains) await agent.drainRound()
      if (i % 5 === 0) await agent.verifyRound()
    }
  }

  /** What is not drained is there, with its weight; what is drained has none, and is gone when its time is over. */
  check(isOver: boolean): void {
    const { agent, kernel } = this.host
    for (const [i, address] of ENDS.entries()) {
      const weight = kernel.services.get(KEY)?.destinations.get(`${address}:80`)?.config.weight
      if (!this.wall.has(i)) assert.equal(weight, 100)
      else if (isOver) assert.equal(weight, undefined)
      else assert.ok(weight === 0 || weight === undefined, `${address} has weight ${weight}`)
    }
    const { drainProgress, driftCount } = agent.snapshot()
    assert.equal(driftCount, 0)
    assert.deepEqual(
      drainProgress.map(({ name }) => name),
      [...this.wall.keys()].toSorted((a, b) => a - b).map((one) => `d${one}`),
    )
    for (const { name, drained } of drainProgress) {
      assert.equal(drained, Number(!this.isStanding(Number(name.slice(1)))))
    }
  }

  private isStanding(index: number): boolean {
    return this.host.kernel.services.get(KEY)?.destinations.has(`${ENDS[index]}:80`) === true
  }
}

/** Found by earlier runs: a clock set between two drains of one end, so that their deadlines by the boot clock are the same. */
const FOUND: [Step[]][] = [1, -1].map((hours) => [
  [
    { do: 'drain', end: 0, seconds: 34 },
    { do: 'jump', hours: -1 },
    { do: 'drain', end: 0, seconds: 34 },
    { do: 'jump', hours },
  ],
])

test('nothing with a connection is removed before its deadline, and nothing that drains stays after it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const run = new Run(await createFakeHost())
      await run.host.start()
      await run.publish()
      // Without them nothing that drains is there for long.
      for (const address of ENDS) run.host.kernel.setConnections(KEY, `${address}:80`, 1)
      for (const one of steps) {
        await run.take(one)
        run.check(false)
      }
      await run.pass(130)
      run.check(true)
    }),
    { numRuns: 150, examples: FOUND },
  )
})
