/** Last-known-good on a bad disk: cut files, flipped bits, full and broken disks. Never a wrong state, mostly still one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFakeController, type Published } from '../fakes/fake-controller.ts'
import { createFakeDisk, type FakeDisk } from '../fakes/fake-disk.ts'
import { createFakeHost, type FakeHost } from '../fakes/fake-host.ts'
import { createFakeKernel } from '../fakes/fake-kernel.ts'
import {
  loadIdentity,
  loadKey,
  loadOrMakeKey,
  saveIdentity,
} from '../../services/agent/src/control-plane/identity.ts'
import { AgentError } from '../../services/agent/src/ports.ts'
import { seeded } from '../fakes/seeded.ts'
import { destination, hostState, service } from '../fakes/states.ts'

const controller = createFakeController()
const stateAt = (weight: number) =>
  hostState([
    service('10.1.0.1', [destination('10.2.0.1', { weight }), destination('10.2.0.2')]),
    service('10.1.0.2', [destination('10.2.0.3')]),
  ])
const first = await controller.publish(stateAt(1), { generation: 1 })
const second = await controller.publish(stateAt(2), { generation: 2 })
const third = await controller.publish(stateAt(3), { generation: 3 })

const fourth = await controller.publish(stateAt(4), { generation: 4 })

/** A disk on which the last of `states` is in force. */
async function diskAfter(states: readonly Published[]): Promise<ReadonlyMap<string, string>> {
  const host = await createFakeHost({ controller })
  await host.start()
  for (const state of states) await host.offer(state)
  return host.disk.files
}
/** Generation 1 in one slot, 2 in the other. */
const GOOD = await diskAfter([first, second])
/** And 3 and 4 in the changes after 2. */
const CHANGED = await diskAfter([first, second, third, fourth])
const DISKS = [
  { name: 'two slots', files: GOOD, weights: [1, 2] },
  { name: 'slots and changes', files: CHANGED, weights: [1, 2, 3, 4] },
]

/** The host after a reboot, on a disk where something is wrong. */
async function reboot(files: ReadonlyMap<string, string>): Promise<FakeHost> {
  const host = await createFakeHost({ controller, disk: createFakeDisk(files) })
  await host.start()
  return host
}

/** The kernel shows exactly one of the states that were published, or nothing at all. */
function weightInForce(host: FakeHost): number {
  const { services } = host.kernel
  if (services.size === 0) return 0
  assert.equal(services.size, 2)
  return services.get('tcp/10.1.0.1:80')?.destinations.get('10.2.0.1:80')?.config.weight ?? -1
}

function withFile(path: string, text: string): Map<string, string> {
  return new Map(GOOD).set(path, text)
}

function stateFiles(files: ReadonlyMap<string, string>): string[] {
  return [...files.keys()].filter((name) => !name.endsWith('.json'))
}

test('a whole disk gives the newest state', async () => {
  assert.equal(weightInForce(await reboot(GOOD)), 2)
  assert.ok(CHANGED.has('changes-b') && !GOOD.has('changes-b'))
  assert.equal(weightInForce(await reboot(CHANGED)), 4)
})

for (const { name, files, weights } of DISKS) {
  test(`${name}: cut anywhere, a file never gives a state that was not published`, async () => {
    let cuts = 0
    for (const path of stateFiles(files)) {
      const text = files.get(path) ?? ''
      const step = Math.max(1, Math.floor(text.length / 160))
      for (let length = 0; length < text.length; length += step, cuts++) {
        const host = await reboot(new Map(files).set(path, text.slice(0, length)))
        assert.ok(weights.includes(weightInForce(host)), `${path} cut at ${length}`)
        const alarmed = host.logged.some((line) => line.includes('damaged'))
        if (path.startsWith('slot') || path.startsWith('ledger'))
          assert.ok(alarmed, `${path} cut at ${length}: no alarm`)
      }
    }
    assert.ok(cuts > 500, `${cuts} cuts`)
  })

  test(`${name}: with any bit flipped, a file never gives a state that was not published`, async () => {
    const random = seeded(7)
    for (let flip = 0; flip < 600; flip++) {
      const path = random.pick(stateFiles(files))
      const bytes = Buffer.from(files.get(path) ?? '', 'latin1')
      const at = random.below(bytes.length)
      const bit = 1 << random.below(7)
      bytes[at] = (bytes[at] ?? 0) ^ bit
      const host = await reboot(new Map(files).set(path, bytes.toString('latin1')))
      assert.ok(weights.includes(weightInForce(host)), `${path} byte ${at} bit ${bit}`)
    }
  })
}

test('changes that are cut off give those before them, without alarm, and the next state is kept', async () => {
  const text = CHANGED.get('changes-b') ?? ''
  const host = await reboot(new Map(CHANGED).set('changes-b', text.slice(0, -9)))
  assert.equal(weightInForce(host), 3)
  assert.ok(!host.logged.some((line) => line.includes('damaged')))
  await host.offer(fourth)
  assert.equal(weightInForce(await reboot(host.disk.files)), 4)
})

test('swapped slots are as good; both gone is nothing, and the next state is taken', async () => {
  const swapped = new Map(GOOD)
    .set('slot-a', GOOD.get('slot-b') ?? '')
    .set('slot-b', GOOD.get('slot-a') ?? '')
  assert.equal(weightInForce(await reboot(swapped)), 2)
  const host = await reboot(withFile('slot-a', 'x').set('slot-b', 'y'))
  assert.equal(weightInForce(host), 0)
  await host.offer(third)
  assert.equal(weightInForce(host), 3)
})

test('a damaged ledger owns what the one before owned, and never more than was made', async () => {
  const random = seeded(11)
  for (let flip = 0; flip < 200; flip++) {
    const kernel = createFakeKernel()
    const host = await createFakeHost({ controller, kernel })
    await host.start()
    await host.offer(first)
    const stranger = service('10.1.0.7', [destination('10.2.0.1')])
    kernel.byHand({ kind: 'service.create', service: stranger, to: stranger })
    const path = random.pick(['ledger-a', 'ledger-b'])
    const bytes = Buffer.from(host.disk.files.get(path) ?? '', 'latin1')
    if (bytes.length === 0) continue
    const at = random.below(bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(7))
    host.disk.files.set(path, bytes.toString('latin1'))
    await host.start()
    await host.offer(second)
    host.clock.advance(120_000)
    await host.agent.verifyRound()
    assert.ok(kernel.services.has('tcp/10.1.0.7:80'))
    assert.ok(kernel.usable('tcp/10.1.0.1:80') === 2 && kernel.usable('tcp/10.1.0.2:80') === 1)
  }
})

test('a disk that refuses any effect leaves the kernel on a published state, and heals with the disk', async () => {
  const rehearsal = await createFakeHost({ controller })
  await rehearsal.start()
  await rehearsal.offer(first)
  const before = rehearsal.disk.effectCount
  await rehearsal.offer(second)
  const effects = rehearsal.disk.effectCount - before
  for (let at = 0; at < effects; at++) {
    const disk = createFakeDisk()
    const host = await createFakeHost({ controller, disk })
    await host.start()
    await host.offer(first)
    let count = 0
    disk.beforeEffect = () => {
      if (count++ >= at)
        throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    }
    await host.offer(second).catch(() => undefined)
    assert.ok([1, 2].includes(weightInForce(host)), `effect ${at}`)
    disk.beforeEffect = undefined
    await host.start()
    assert.ok([1, 2].includes(weightInForce(host)), `effect ${at} after a restart`)
    await host.offer(third)
    assert.equal(weightInForce(host), 3, `effect ${at} healed`)
  }
})

test('the agent prefers the state in force over an unfinished one, and leaves no litter', async () => {
  const host = await createFakeHost({ controller, disk: createFakeDisk(GOOD) })
  host.disk.files.set('slot-a.tmp', 'half')
  host.disk.files.set('shards-a/feed.tmp', 'half')
  await host.start()
  await host.offer(third)
  // Until it is this slot's turn.
  for (let round = 0; round < 6; round++) await host.agent.verifyRound()
  const kept = [...host.disk.files.keys()].filter((name) => name.startsWith('shards-a/')).length
  assert.equal(kept, third.shards.length)
})

test('a damaged identity or key is refused with what to do, never half believed', async () => {
  const disk: FakeDisk = createFakeDisk()
  await loadOrMakeKey(disk)
  await saveIdentity(disk, controller.identity)
  assert.deepEqual(await loadIdentity(disk), controller.identity)
  const random = seeded(3)
  for (const path of ['identity.json', 'key.json']) {
    const text = disk.files.get(path) ?? ''
    for (let i = 0; i < 200; i++) {
      const bytes = Buffer.from(text)
      const at = random.below(bytes.length)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(7))
      const broken = createFakeDisk([
        ...disk.files,
        [path, i % 4 === 0 ? text.slice(0, at) : bytes.toString('latin1')],
      ])
      if (path === 'identity.json') {
        const found = await loadIdentity(broken).catch((error: unknown) => {
          assert.ok(error instanceof AgentError && /enrol this host again/.test(error.message))
        })
        if (found !== undefined) assert.deepEqual(found, controller.identity)
      } else await loadKey(broken).catch((error: unknown) => assert.ok(error instanceof AgentError))
    }
  }
})
