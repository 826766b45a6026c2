/** Drains that an operator asked for, on a running agent: what is counted, when it goes, what a restart does not change. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DestinationState, DrainState } from '@lvs-fleet/contract'
import { createFakeHealth } from '../fakes/fake-health.ts'
import { createFakeHost, type FakeHost } from '../fakes/fake-host.ts'
import { destination, hostState, markService, service } from '../fakes/states.ts'

const VIP = '10.1.0.100'
const KEY = `tcp/${VIP}:80`
const A = '10.2.0.1:80'
const B = '10.2.0.2:80'
const MINUTES = 60_000

type Fields = NonNullable<Parameters<typeof service>[2]>

/** Two destinations; the first drains for 15 minutes, unless `drain` says otherwise. */
function pair(host: FakeHost, drain: Partial<DrainState> | null, fields: Fields = {}) {
  return service(VIP, ends(host, drain), fields)
}

function ends(host: FakeHost, drain: Partial<DrainState> | null): DestinationState[] {
  return [drained('10.2.0.1', host, drain), destination('10.2.0.2', { weight: 100 })]
}

function drained(address: string, host: FakeHost, drain: Partial<DrainState> | null) {
  if (drain === null) return destination(address, { weight: 100 })
  const full: DrainState = {
    name: 'new-disk',
    reason: 'new disk',
    owner: 'api-key/first',
    deadline: host.clock.wallMs() + 15 * MINUTES,
    idleSeconds: 10,
    waitForTemplates: false,
    ...drain,
  }
  return destination(address, { weight: 0, drain: full })
}

async function running(fields: Fields = {}): Promise<FakeHost> {
  const host = await createFakeHost()
  await host.start()
  await publish(host, pair(host, null, fields), 1)
  return host
}

async function publish(
  host: FakeHost,
  one: ReturnType<typeof service> | ReturnType<typeof markService>,
  generation: number,
) {
  const published = await host.controller.publish(hostState([one]), { generation })
  assert.equal((await host.offer(published)).is, 'applied')
}

function weightOf(host: FakeHost, end: string, key = KEY): number | undefined {
  return host.kernel.services.get(key)?.destinations.get(end)?.config.weight
}

function progressOf(host: FakeHost) {
  const [progress, ...others] = host.agent.snapshot().drainProgress
  assert.equal(others.length, 0)
  return progress
}

/** Rounds as the loop makes them, a second apart. */
async function pass(host: FakeHost, seconds: number): Promise<void> {
  for (let i = 0; i < seconds; i++) {
    host.clock.advance(1_000)
    await host.agent.weighRound()
    if (host.agent.hasDrains) await host.agent.drainRound()
    if (i % 5 === 0) await host.agent.verifyRound()
  }
}

test('drains at weight 0 while there are connections, and goes when it was idle long enough', async () => {
  const host = await running()
  host.kernel.setConnections(KEY, A, 1_000, 7)
  await publish(host, pair(host, {}), 2)
  assert.deepEqual([weightOf(host, A), weightOf(host, B)], [0, 100])
  await pass(host, 60)
  assert.equal(weightOf(host, A), 0)
  assert.deepEqual(progressOf(host), {
    name: 'new-disk',
    destinations: 1,
    drained: 0,
    idle: 0,
    activeConnections: 1_000,
    inactiveConnections: 7,
    persistentConnections: 0,
    remainingSeconds: 840,
  })
  host.kernel.setConnections(KEY, A, 0, 7)
  await pass(host, 5)
  // A handshake that was under way.
  host.kernel.setConnections(KEY, A, 1, 7)
  await pass(host, 10)
  assert.equal(weightOf(host, A), 0)
  host.kernel.setConnections(KEY, A, 0, 7)
  await pass(host, 10)
  assert.deepEqual([weightOf(host, A), progressOf(host)?.idle], [0, 1])
  await pass(host, 1)
  assert.equal(weightOf(host, A), undefined)
  assert.deepEqual(progressOf(host), {
    name: 'new-disk',
    destinations: 1,
    drained: 1,
    idle: 0,
    activeConnections: 0,
    inactiveConnections: 0,
    persistentConnections: 0,
    remainingSeconds: 0,
  })
  // It stays out while the drain stands, and that is no drift.
  await pass(host, 30 * 60)
  assert.equal(weightOf(host, A), undefined)
  assert.equal(host.agent.snapshot().driftCount, 0)
})

test('cuts what is left at its deadline, with the control plane dead and the agent killed in between', async () => {
  const host = await running()
  host.kernel.setConnections(KEY, A, 1_000)
  await publish(host, pair(host, {}), 2)
  await pass(host, 7 * 60)
  const before = progressOf(host)
  const journal = host.kernel.journal.length
  await host.start()
  assert.deepEqual(progressOf(host), before)
  assert.equal(host.kernel.journal.length, journal)
  await pass(host, 8 * 60 - 1)
  assert.equal(weightOf(host, A), 0)
  assert.equal(progressOf(host)?.remainingSeconds, 1)
  await pass(host, 1)
  assert.equal(weightOf(host, A), undefined)
  assert.equal(progressOf(host)?.drained, 1)
  await host.start()
  assert.equal(weightOf(host, A), undefined)
  assert.equal(progressOf(host)?.drained, 1)
})

for (const hours of [48, -48]) {
  test(`a wall clock that jumps by ${hours} hours changes nothing of a drain that runs`, async () => {
    const host = await running()
    host.kernel.setConnections(KEY, A, 3)
    await publish(host, pair(host, {}), 2)
    await pass(host, 5 * 60)
    host.clock.jumpWall(hours * 60 * MINUTES)
    await host.start()
    await pass(host, 10 * 60 - 1)
    assert.equal(weightOf(host, A), 0)
    await pass(host, 1)
    assert.equal(weightOf(host, A), undefined)
  })
}

test('a director that was away when the deadline came cuts at once', async () => {
  const host = await running()
  host.kernel.setConnections(KEY, A, 3)
  await publish(host, pair(host, { deadline: host.clock.wallMs() - 1 }), 2)
  assert.equal(weightOf(host, A), undefined)
})

test('after a reboot what drains is not made at all, and cancelled it is', async () => {
  const host = await running()
  host.kernel.setConnections(KEY, A, 3)
  await publish(host, pair(host, {}), 2)
  host.kernel.reboot()
  await host.start()
  assert.deepEqual([weightOf(host, A), weightOf(host, B)], [undefined, 100])
  assert.equal(progressOf(host)?.drained, 1)
  await publish(host, pair(host, null), 3)
  assert.deepEqual([weightOf(host, A), weightOf(host, B)], [100, 100])
  assert.equal(progressOf(host), undefined)
})

test('cancelled while it drains, the weight is back at once', async () => {
  const host = await running()
  host.kernel.setConnections(KEY, A, 3)
  await publish(host, pair(host, {}), 2)
  await pass(host, 60)
  await publish(host, pair(host, null), 3)
  assert.equal(weightOf(host, A), 100)
  assert.equal(host.agent.hasDrains, false)
  await pass(host, 20 * 60)
  assert.equal(weightOf(host, A), 100)
})

test('cancelled, it ramps where the policy has a slow start, drained or not', async () => {
  const host = await createFakeHost({ health: createFakeHealth() })
  await host.start()
  const policy = {
    overprovisioningFactor: 1.4,
    panicThresholdPercent: 50,
    hysteresisPercent: 5,
    maxChangePercent: 20,
    changeIntervalSeconds: 10,
    slowStartSeconds: 100,
    capacities: [],
  }
  const placement = { level: 0, site: 'a', fullWeight: 100 }
  const placed = (drain: Partial<DrainState> | null) =>
    service(
      VIP,
      ends(host, drain).map((one) => ({ ...one, placement })),
      { policy },
    )
  await publish(host, placed(null), 1)
  await publish(host, placed({}), 2)
  await pass(host, 20)
  assert.equal(weightOf(host, A), undefined)
  await publish(host, placed(null), 3)
  assert.deepEqual([weightOf(host, A), weightOf(host, B)], [10, 100])
  await pass(host, 100)
  assert.deepEqual([weightOf(host, A), weightOf(host, B)], [100, 100])
})

test('a deadline that the operator changes counts from the new one', async () => {
  const host = await running()
  host.kernel.setConnections(KEY, A, 3)
  await publish(host, pair(host, {}), 2)
  await pass(host, 60)
  await publish(host, pair(host, { deadline: host.clock.wallMs() + 5_000 }), 3)
  assert.equal(progressOf(host)?.remainingSeconds, 5)
  await pass(host, 5)
  assert.equal(weightOf(host, A), undefined)
})

const RULES: {
  name: string
  fields: Fields
  drain?: Partial<DrainState>
  left: [active: number, inactive: number, persistent: number]
  isIdle: boolean
}[] = [
  { name: 'TCP that closes', fields: {}, left: [0, 9, 0], isIdle: true },
  { name: 'TCP that stands', fields: {}, left: [1, 0, 0], isIdle: false },
  {
    name: 'UDP that the kernel knows',
    fields: { protocol: 'udp' },
    left: [0, 1, 0],
    isIdle: false,
  },
  { name: 'UDP that it forgot', fields: { protocol: 'udp' }, left: [0, 0, 0], isIdle: true },
  { name: 'templates that expire', fields: {}, left: [0, 0, 5], isIdle: true },
  {
    name: 'templates that keep their clients',
    fields: {},
    drain: { waitForTemplates: true },
    left: [0, 0, 5],
    isIdle: false,
  },
  {
    name: 'templates that are gone',
    fields: {},
    drain: { waitForTemplates: true },
    left: [0, 3, 0],
    isIdle: true,
  },
]
for (const { name, fields, drain = {}, left, isIdle } of RULES) {
  test(`${name}: ${isIdle ? 'idle' : 'waited for until the deadline'}`, async () => {
    const host = await running(fields)
    const key = `${fields.protocol ?? 'tcp'}/${VIP}:80`
    host.kernel.setConnections(key, A, ...left)
    await publish(host, pair(host, drain, fields), 2)
    await pass(host, 14 * 60)
    assert.equal(weightOf(host, A, key), isIdle ? undefined : 0)
    await pass(host, 60)
    assert.equal(weightOf(host, A, key), undefined)
  })
}

test('behind a firewall mark there may be UDP', async () => {
  const host = await createFakeHost()
  await host.start()
  await publish(host, markService(7, ends(host, null)), 1)
  host.kernel.setConnections('fwmark/7/ipv4', A, 0, 1)
  await publish(host, markService(7, ends(host, {})), 2)
  await pass(host, 60)
  assert.equal(weightOf(host, A, 'fwmark/7/ipv4'), 0)
})

test('what leaves the state while it drains keeps to the nearer of both deadlines', async () => {
  for (const [drainSeconds, left] of [
    [60, 60],
    [3_600, 900],
  ] as const) {
    const host = await running({ drainSeconds })
    host.kernel.setConnections(KEY, A, 3)
    await publish(host, pair(host, {}, { drainSeconds }), 2)
    const [, second] = ends(host, null)
    assert.ok(second !== undefined)
    await publish(host, service(VIP, [second], { drainSeconds }), 3)
    const { drains, drainProgress } = host.agent.snapshot()
    assert.deepEqual(drains, [
      { service: KEY, destination: A, remainingSeconds: left, connections: 3 },
    ])
    assert.deepEqual(drainProgress, [])
  }
})

test('somebody who adds a drained destination by hand meets the drain again, and a service begins without it', async () => {
  const host = await running()
  await publish(host, pair(host, {}), 2)
  await pass(host, 15)
  const [first] = ends(host, null)
  assert.ok(first !== undefined)
  const one = pair(host, {})
  host.kernel.byHand({ kind: 'destination.create', service: one, destination: first, to: first })
  host.kernel.setConnections(KEY, A, 2)
  await pass(host, 6)
  assert.deepEqual([weightOf(host, A), progressOf(host)?.activeConnections], [0, 2])
  host.kernel.services.clear()
  await pass(host, 6)
  assert.deepEqual([weightOf(host, A), weightOf(host, B)], [undefined, 100])
})

test('a state without drains is reported as before', async () => {
  const host = await running()
  assert.deepEqual(host.agent.snapshot().drainProgress, [])
  assert.deepEqual(host.agent.snapshot().drains, [])
})
