/** Effective weights on a running agent: health, levels, ramps and overrides reach the kernel, one message for each. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  EMPTY_HOST_PART,
  expositionOf,
  ip,
  REPORT_LIST_MAX,
  type DestinationState,
  type OverrideState,
  type Policy,
} from '@lvs-fleet/contract'
import { runLoop } from '../../services/agent/src/loop.ts'
import { stateFamilies } from '../../services/agent/src/metrics/families.ts'
import { fingerprintOf } from '../../services/agent/src/report.ts'
import { createStatusFile } from '../../services/agent/src/status-file.ts'
import { plainCandidate } from '../../services/agent/src/state/candidate.ts'
import {
  startCheckedHost,
  weightsOf as weightsIn,
  type CheckedHost,
} from '../fakes/checked-host.ts'
import { createFakeHealth } from '../fakes/fake-health.ts'
import { createFakeHost, type FakeHost } from '../fakes/fake-host.ts'
import { destination, hostState, service } from '../fakes/states.ts'

const VIP = '10.1.0.100'
const KEY = `tcp/${VIP}:80`
const POLICY: Policy = {
  overprovisioningFactor: 1.4,
  panicThresholdPercent: 50,
  hysteresisPercent: 5,
  maxChangePercent: 20,
  changeIntervalSeconds: 10,
  slowStartSeconds: 0,
  capacities: [],
}

/** a1 and a2 here, b1 and b2 elsewhere. */
const ENDS = ['a1', 'a2', 'b1', 'b2'].map((name, i) =>
  destination(`10.2.0.${i + 1}`, {
    realServer: name,
    weight: 100,
    placement: { level: name.startsWith('a') ? 0 : 1, site: name.slice(0, 1), fullWeight: 100 },
  }),
)
const leveled = (policy: Partial<Policy> = {}) =>
  service(VIP, ENDS, { policy: { ...POLICY, ...policy } })

async function running(services: Parameters<typeof hostState>[0]): Promise<CheckedHost> {
  const host = await startCheckedHost()
  await publish(host, services, 1)
  return host
}

/** The loop of a running agent, on the clock of the test. */
function looping(host: FakeHost & Partial<CheckedHost>) {
  const { agent, kernel, clock, disk, health } = host
  const stop = new AbortController()
  const status = createStatusFile(disk, clock)
  const watched = health === undefined ? {} : { health }
  const deps = { agent, kernel, clock, status, random: () => 0.5, log: () => {}, ...watched }
  return { ended: runLoop(deps, stop.signal), stop: () => stop.abort() }
}

async function publish(
  host: FakeHost,
  services: Parameters<typeof hostState>[0],
  generation: number,
) {
  const published = await host.controller.publish(hostState(services), { generation })
  assert.equal((await host.offer(published)).is, 'applied')
}

const weightsOf = (host: FakeHost) => weightsIn(host, ip(VIP), ENDS)

function say(
  bench: CheckedHost,
  state: 'up' | 'down' | 'unknown',
  ...names: readonly string[]
): void {
  for (const name of names) bench.health.say(name, state, bench.clock.monotonicMs())
}

test('levels: the first has it all, spills step by step, one message for each weight and no dump', async () => {
  const host = await running([leveled()])
  assert.deepEqual(weightsOf(host), [100, 100, 0, 0])
  const before = { ...host.kernel.calls, writes: host.kernel.writeCount() }
  say(host, 'down', 'a1')
  host.clock.advance(60_000)
  const round = await host.agent.weighRound()
  assert.deepEqual(round, { ops: 4, failed: 0, drift: 0 })
  assert.deepEqual(weightsOf(host), [0, 8, 1, 1])
  assert.equal(host.kernel.writeCount() - before.writes, 4)
  assert.equal(host.kernel.calls.listServices, before.listServices)
  assert.equal(host.kernel.calls.destinationsListedFor, before.destinationsListedFor)
  assert.deepEqual(await host.agent.weighRound(), { ops: 0, failed: 0, drift: 0 })
  host.clock.advance(10_000)
  await host.agent.weighRound()
  assert.deepEqual(weightsOf(host), [0, 14, 3, 3])
  const verified = await host.agent.verifyRound()
  assert.deepEqual(verified, { ops: 0, failed: 0, drift: 0 })
})

test('what is not as intent says is in the report, with since when and why', async () => {
  const host = await running([service(VIP, ENDS)])
  assert.equal(host.agent.snapshot().weightCount, 0)
  say(host, 'down', 'a1')
  const since = new Date(host.clock.wallMs()).toISOString()
  host.clock.advance(700)
  await host.agent.weighRound()
  const { weights, weightCount } = host.agent.snapshot()
  assert.equal(weightCount, 1)
  const [first] = weights
  assert.deepEqual(
    [first?.service, first?.destination, first?.realServer, first?.weight],
    [KEY, '10.2.0.1:80', 'a1', 0],
  )
  const health = first?.factors.find(({ name }) => name === 'health')
  assert.deepEqual(health, {
    name: 'health',
    value: 0,
    since,
    why: 'server-down: as the test says',
  })
  assert.deepEqual(
    first?.factors.map(({ name, value }) => [name, value]),
    [
      ['intent', 100],
      ['override', 1],
      ['health', 0],
      ['ramp', 1],
      ['levelShare', 1],
    ],
  )
})

test('what went and came back between two reports is in the next one, until that has arrived', async () => {
  const host = await running([service(VIP, ENDS)])
  assert.equal(host.agent.snapshot().weightChanges, null)
  for (const state of ['down', 'up'] as const) {
    say(host, state, 'a1')
    await host.agent.weighRound()
    host.clock.advance(1_000)
  }
  const sent = host.agent.snapshot()
  assert.deepEqual(sent.weights, [])
  assert.deepEqual(
    sent.weightChanges?.list.map(({ number, destination: end, from, to, factors }) => [
      number,
      end,
      from,
      to,
      factors.find(({ name }) => name === 'health')?.value,
    ]),
    [
      [1, '10.2.0.1:80', 100, 0, 0],
      [2, '10.2.0.1:80', 0, 100, undefined],
    ],
  )
  say(host, 'down', 'a2')
  await host.agent.weighRound()
  host.agent.noteReported(sent)
  const rest = host.agent.snapshot()
  assert.deepEqual(
    rest.weightChanges?.list.map(({ number, realServer }) => [number, realServer]),
    [[3, 'a2']],
  )
  host.agent.noteReported(rest)
  const quiet = host.agent.snapshot()
  assert.deepEqual([quiet.weightChanges?.count, quiet.weightChanges?.list], [3, []])
  assert.equal(fingerprintOf(quiet), fingerprintOf(rest), 'nothing new to report')
})

test('what intent changes is no change of a weight, what comes along with it is', async () => {
  const host = await running([service(VIP, ENDS)])
  const heavier = ENDS.map((end) => ({ ...end, weight: 200 }))
  await publish(host, [service(VIP, heavier)], 2)
  assert.equal(host.agent.snapshot().weightChanges, null)
  const expiresAt = host.clock.wallMs() + 60_000
  const override: OverrideState = {
    name: 'disk',
    kind: 'down',
    reason: 'disk',
    owner: 'me',
    expiresAt,
  }
  const [a1, ...others] = heavier
  const overridden = { ...a1, overrides: [override] } as DestinationState
  await publish(host, [service(VIP, [overridden, ...others])], 3)
  const { list } = host.agent.snapshot().weightChanges ?? { list: [] }
  assert.deepEqual(
    list.map(({ realServer, from, to }) => [realServer, from, to]),
    [['a1', 200, 0]],
  )
})

test('more changes than a report lists are counted: at once, and before one arrives', async () => {
  const many = Array.from({ length: 60 }, (_, i) => service(`10.1.1.${i + 1}`, ENDS))
  const host = await running(many)
  say(host, 'down', 'a1')
  await host.agent.weighRound()
  say(host, 'down', 'a2')
  await host.agent.weighRound()
  const first = host.agent.snapshot().weightChanges
  assert.deepEqual(
    [first?.count, first?.droppedCount, first?.list.length, first?.list[0]?.number],
    [120, 20, REPORT_LIST_MAX, 21],
  )
  say(host, 'up', 'a1', 'a2')
  await host.agent.weighRound()
  const second = host.agent.snapshot()
  assert.deepEqual(
    [second.weightChanges?.count, second.weightChanges?.droppedCount],
    [240, 140],
    'of 120 at once 100 are listed, and those before them are too old',
  )
  const text = expositionOf(stateFamilies(second))
  assert.match(text, /^lvsfleet_weight_changes_total 240$/m)
  assert.match(text, /^lvsfleet_weight_changes_untold_total 140$/m)
})

test('a weight that somebody set back by hand is drift', async () => {
  const host = await running([service(VIP, ENDS)])
  say(host, 'down', 'a1')
  await host.agent.weighRound()
  const [a1] = ENDS
  assert.ok(a1 !== undefined)
  host.kernel.byHand({
    kind: 'destination.update',
    service: service(VIP, ENDS),
    destination: a1,
    from: { ...a1, weight: 0 },
    to: a1,
  })
  assert.equal((await host.agent.verifyRound()).drift, 1)
  assert.deepEqual(weightsOf(host), [0, 100, 100, 100])
})

test('a new state changes what intent says and keeps what health says', async () => {
  const host = await running([service(VIP, ENDS)])
  say(host, 'down', 'a1')
  await host.agent.weighRound()
  const heavier = ENDS.map((end) => ({ ...end, weight: 200 }))
  await publish(host, [service(VIP, heavier)], 2)
  assert.deepEqual(weightsOf(host), [0, 200, 200, 200])
  say(host, 'up', 'a1')
  await host.agent.weighRound()
  assert.deepEqual(weightsOf(host), [200, 200, 200, 200])
  assert.equal(host.agent.snapshot().weightCount, 0)
})

test('a new state that comes with a recovery starts from what the kernel holds, not from intent', async () => {
  const host = await running([service(VIP, ENDS)])
  say(host, 'down', 'a1')
  await host.agent.weighRound()
  say(host, 'up', 'a1')
  const [a1, a2, ...others] = ENDS
  const heavier = [a1, { ...a2, weight: 200 }, ...others] as DestinationState[]
  const writes = host.kernel.writeCount()
  await publish(host, [service(VIP, heavier)], 2)
  assert.deepEqual(weightsOf(host), [100, 200, 100, 100])
  assert.equal(host.kernel.writeCount() - writes, 2)
})

test('slow start: ten messages from a tenth to all', async () => {
  const host = await running([leveled({ slowStartSeconds: 100, panicThresholdPercent: 0 })])
  say(host, 'down', 'b1')
  await host.agent.weighRound()
  // All of it here, so that levels do not interfere.
  await publish(
    host,
    [service(VIP, ENDS.slice(0, 2), { policy: { ...POLICY, slowStartSeconds: 100 } })],
    2,
  )
  say(host, 'down', 'a1')
  await host.agent.weighRound()
  say(host, 'up', 'a1')
  const seen: (number | undefined)[] = []
  for (let second = 0; second <= 100; second += 10) {
    await host.agent.weighRound()
    seen.push(weightsOf(host)[0])
    host.clock.advance(10_000)
  }
  assert.deepEqual(seen, [10, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100])
})

const withOverride = (override: OverrideState) => {
  const [first, ...rest] = ENDS
  return service(VIP, [{ ...first, overrides: [override] } as DestinationState, ...rest])
}

test('an override reaches with its state, and ends in the loop with nobody to ask', async () => {
  const host = await createFakeHost()
  await host.start()
  const expiresAt = host.clock.wallMs() + 30_000
  const fields = { name: 'o', reason: 'disk', owner: 'ann', expiresAt }
  await publish(host, [withOverride({ kind: 'down', ...fields })], 1)
  assert.deepEqual(weightsOf(host), [0, 100, 100, 100])
  assert.equal(
    host.agent.snapshot().weights[0]?.factors.find(({ name }) => name === 'override')?.why,
    'o: down until 2026-11-23T12:00:30.000Z by ann: disk',
  )
  const { stop, ended } = looping(host)
  const until = async (isDone: () => boolean) => {
    for (let turn = 0; !isDone() && turn < 2_000; turn++) {
      host.clock.advance(turn % 20 === 0 ? 1_000 : 0)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  await until(() => host.clock.wallMs() >= expiresAt - 2_000)
  assert.deepEqual(weightsOf(host), [0, 100, 100, 100])
  await until(() => weightsOf(host)[0] === 100)
  stop()
  await ended
  assert.deepEqual(weightsOf(host), [100, 100, 100, 100])
  assert.ok(host.clock.wallMs() >= expiresAt && host.clock.wallMs() < expiresAt + 5_000)
})

test('who is down gets nothing at once, not with the next look of the loop', async () => {
  const host = await running([service(VIP, ENDS)])
  const { stop, ended } = looping(host)
  const turns = async () => {
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  await turns()
  say(host, 'down', 'a1')
  await turns()
  assert.deepEqual(weightsOf(host), [0, 100, 100, 100])
  stop()
  await ended
})

test('an agent that starts anew keeps the dead at 0 until it knows', async () => {
  const host = await running([leveled({ changeIntervalSeconds: 1 })])
  say(host, 'down', 'a1')
  for (let round = 0; round < 3; round++) {
    host.clock.advance(5_000)
    await host.agent.weighRound()
  }
  const before = weightsOf(host)
  assert.equal(before[0], 0)
  say(host, 'unknown', 'a1')
  const writes = host.kernel.writeCount()
  await host.start()
  assert.deepEqual(weightsOf(host), before)
  assert.equal(host.kernel.writeCount(), writes)
  say(host, 'up', 'a1')
  for (let round = 0; round < 3; round++) {
    host.clock.advance(5_000)
    await host.agent.weighRound()
  }
  assert.deepEqual(weightsOf(host), [100, 100, 0, 0])
})

test('a dry run, which checks nobody, plans what the running agent holds', async () => {
  const host = await running([service(VIP, ENDS)])
  say(host, 'down', 'a1')
  await host.agent.weighRound()
  const { kernel, disk, clock, controller } = host
  const other = await createFakeHost({ kernel, disk, clock, controller })
  await other.agent.peek()
  const planned = await other.agent.plan(undefined, { allowShrink: false })
  assert.deepEqual(planned.ops, [])
})

test('a state from a file is weighed, too', async () => {
  const health = createFakeHealth()
  const host = await createFakeHost({ health })
  health.say('a1', 'down', host.clock.monotonicMs())
  await host.start()
  const state = { ...EMPTY_HOST_PART, services: [service(VIP, ENDS)] }
  await host.agent.accept(plainCandidate(state), { source: 'file' })
  assert.deepEqual(weightsOf(host), [0, 100, 100, 100])
})

test('while an operator holds the agent no weight changes, and after that they do', async () => {
  const host = await running([service(VIP, ENDS)])
  host.disk.files.set('hold', 'by hand')
  say(host, 'down', 'a1')
  await host.agent.weighRound()
  assert.deepEqual(weightsOf(host), [100, 100, 100, 100])
  host.disk.files.delete('hold')
  await host.agent.weighRound()
  assert.deepEqual(weightsOf(host), [0, 100, 100, 100])
})
