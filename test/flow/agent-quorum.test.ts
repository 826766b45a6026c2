/** What other directors found, on a running agent: it counts while the control plane answers, and never empties a service. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip, type QuorumState } from '@lvs-fleet/contract'
import { startCheckedHost, weightsOf, type CheckedHost } from '../fakes/checked-host.ts'
import { destination, hostState, service } from '../fakes/states.ts'

const VIP = ip('10.1.0.100')
const NAMES = ['a1', 'a2', 'a3']
const ENDS = NAMES.map((realServer, i) =>
  destination(`10.2.0.${i + 1}`, { realServer, weight: 100 }),
)
const WHY = 'down for 2 of 3 directors: dir-b, dir-c'

async function running(): Promise<CheckedHost> {
  const host = await startCheckedHost()
  for (const name of NAMES) host.health.say(name, 'up', host.clock.monotonicMs())
  return host
}

/** `down`: real servers that the others found down. */
async function publish(
  bench: CheckedHost,
  generation: number,
  down: readonly string[],
  minutes = 10,
) {
  const quorum: QuorumState = { why: WHY, expiresAt: bench.clock.wallMs() + minutes * 60_000 }
  const ends = ENDS.map((end) => (down.includes(end.realServer) ? { ...end, quorum } : end))
  const state = hostState([service(VIP, ends)])
  const published = await bench.controller.publish(state, { generation })
  assert.equal((await bench.offer(published)).is, 'applied')
}

const weights = (bench: CheckedHost) => weightsOf(bench, VIP, ENDS)

/** Time passes; polls are answered every 50 s where the control plane is there. */
async function pass(bench: CheckedHost, seconds: number, isThere: boolean): Promise<void> {
  for (let i = 0; i < seconds; i++) {
    bench.clock.advance(1_000)
    if (isThere && i % 50 === 0) bench.agent.noteContact()
    await bench.agent.weighRound()
  }
}

test('down by quorum gets nothing here, though it is up as seen from here, and the report says why', async () => {
  const bench = await running()
  bench.agent.noteContact()
  await publish(bench, 1, ['a1'])
  assert.deepEqual(weights(bench), [0, 100, 100])
  const [said] = bench.agent.snapshot().weights
  const factor = said?.factors.find(({ name }) => name === 'health')
  assert.equal(factor?.value, 0)
  assert.ok(factor?.why.startsWith(`quorum: ${WHY}; seen from here: `))
  await publish(bench, 2, [])
  assert.deepEqual(weights(bench), [100, 100, 100])
})

test('without the control plane it trusts its own eyes within two minutes, and again listens when that is back', async () => {
  const bench = await running()
  bench.agent.noteContact()
  await publish(bench, 1, ['a1'])
  await pass(bench, 300, true)
  assert.deepEqual(weights(bench), [0, 100, 100])
  await pass(bench, 60, false)
  assert.deepEqual(weights(bench), [0, 100, 100])
  await pass(bench, 61, false)
  assert.deepEqual(weights(bench), [100, 100, 100])
  await pass(bench, 12, true)
  assert.deepEqual(weights(bench), [0, 100, 100])
})

test('an agent that starts with the control plane gone believes nobody', async () => {
  const bench = await running()
  bench.agent.noteContact()
  await publish(bench, 1, ['a1'])
  await bench.start()
  await pass(bench, 2, false)
  assert.deepEqual(weights(bench), [100, 100, 100])
})

test('a verdict that nobody renews runs out, though polls are answered', async () => {
  const bench = await running()
  bench.agent.noteContact()
  await publish(bench, 1, ['a1'], 3)
  await pass(bench, 179, true)
  assert.deepEqual(weights(bench), [0, 100, 100])
  await pass(bench, 2, true)
  assert.deepEqual(weights(bench), [100, 100, 100])
})

test('a verdict that is renewed changes nothing in the kernel', async () => {
  const bench = await running()
  bench.agent.noteContact()
  await publish(bench, 1, ['a1'], 3)
  const writes = bench.kernel.writeCount()
  await pass(bench, 60, true)
  await publish(bench, 2, ['a1'], 10)
  assert.equal(bench.kernel.writeCount(), writes)
})

test('it never leaves a service with nobody', async () => {
  const bench = await running()
  bench.agent.noteContact()
  await publish(bench, 1, NAMES)
  assert.deepEqual(weights(bench), [100, 100, 100])
  await publish(bench, 2, ['a1', 'a2'])
  assert.deepEqual(weights(bench), [0, 0, 100])
  bench.health.say('a3', 'down', bench.clock.monotonicMs())
  await bench.agent.weighRound()
  assert.deepEqual(weights(bench), [100, 100, 100])
})
