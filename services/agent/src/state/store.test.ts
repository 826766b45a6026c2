/** What the store does with the disk; what a broken disk does with it is in test/flow/agent-disk.test.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFakeController, type Published } from '../../../../test/fakes/fake-controller.ts'
import type { DiskEffect } from '../../../../test/fakes/fake-disk.ts'
import { createFakeHost, type FakeHost } from '../../../../test/fakes/fake-host.ts'
import { largeState } from '../../../../test/fakes/states.ts'
import { CHANGES, CHANGES_MAX } from './store.ts'

const controller = createFakeController()

/** 100 services in some shards; the weight of the last one's first destination counts the states. `more`: what a newer API says of it. */
async function states(count: number, more: object = {}): Promise<Published[]> {
  const { services, ...host } = largeState(100, 2, 1)
  const published: Published[] = []
  for (let generation = 1; generation <= count; generation++) {
    const last = services.at(-1)
    const [first, ...others] = last?.destinations ?? []
    if (last === undefined || first === undefined) throw new Error('a state has services')
    const counted = { ...first, weight: generation }
    const changed = { ...last, ...more, destinations: [counted, ...others] }
    const state = { ...host, services: services.with(-1, changed) }
    published.push(await controller.publish(state, { generation }))
  }
  return published
}

async function living(count: number): Promise<{ host: FakeHost; published: Published[] }> {
  const published = await states(count)
  const host = await createFakeHost({ controller })
  await host.start()
  for (const one of published) await host.offer(one)
  return { host, published }
}

async function effectsOf(host: FakeHost, work: () => Promise<unknown>): Promise<DiskEffect[]> {
  const effects: DiskEffect[] = []
  host.disk.beforeEffect = (effect) => effects.push(effect)
  await work()
  host.disk.beforeEffect = undefined
  return effects
}

function changesOn(host: FakeHost): number {
  return Object.values(CHANGES)
    .map((file) => host.disk.files.get(file)?.match(/^change /gm)?.length ?? 0)
    .reduce((sum, count) => sum + count, 0)
}

test('once both slots are filled, a state costs one write, of what it changes', async () => {
  const { host } = await living(3)
  const [, , , fourth] = await states(4)
  assert.ok(fourth !== undefined)
  const before = host.disk.files.get('changes-b')?.length ?? 0
  const effects = await effectsOf(host, () => host.offer(fourth))
  assert.deepEqual(effects, [{ kind: 'write', path: 'changes-b' }])
  const written = (host.disk.files.get('changes-b')?.length ?? 0) - before
  const whole = fourth.shards.reduce((sum, { body }) => sum + body.length, 0)
  assert.ok(written < whole / 3, `${written} of ${whole} bytes`)
})

test('a start finds the newest change, and goes on behind it', async () => {
  const { host } = await living(5)
  assert.equal(changesOn(host), 3)
  await host.start()
  assert.equal(host.agent.version?.generation, 5)
  const next = (await states(6)).at(-1)
  assert.ok(next !== undefined)
  await host.offer(next)
  assert.equal(changesOn(host), 4)
  await host.start()
  assert.equal(host.agent.version?.generation, 6)
})

test('a file of changes that has grown ends with the other slot, and none is lost on the way', async () => {
  const count = CHANGES_MAX + 4
  const { host } = await living(count)
  assert.equal(changesOn(host), CHANGES_MAX + 1, 'those of the slot before stay until its turn')
  await host.start()
  assert.equal(host.agent.version?.generation, count)
})

test('when nothing changes for a while, the other slot gets the state in force, once', async () => {
  const { host } = await living(5)
  for (let round = 0; round < 6; round++) await host.agent.verifyRound()
  const effects = await effectsOf(host, async () => {
    for (let round = 0; round < 10; round++) await host.agent.verifyRound()
  })
  assert.deepEqual(effects, [])
  for (const broken of [['slot-b', 'changes-b'], ['slot-a']]) {
    const files = new Map(host.disk.files)
    for (const file of broken) host.disk.files.delete(file)
    await host.start()
    assert.equal(host.agent.version?.generation, 5, `without ${broken.join(' and ')}`)
    for (const [file, text] of files) host.disk.files.set(file, text)
  }
})

test('what a newer API says of a service is kept as it came, through the turn of the slots', async () => {
  const { host } = await living(2)
  const newer = (await states(3, { colour: 'green' })).at(-1)
  assert.ok(newer !== undefined)
  await host.offer(newer)
  for (let round = 0; round < 6; round++) await host.agent.verifyRound()
  for (const file of ['slot-b', 'changes-b']) host.disk.files.delete(file)
  await host.start()
  assert.equal(host.agent.version?.generation, 3)
  assert.match([...host.disk.files.values()].join(''), /"colour":"green"/)
})

test('a slot that lost a shard is not built upon: the next state goes whole into the other one', async () => {
  const { host } = await living(5)
  const { files } = host.disk
  const lost = [...files.keys()].find(
    (path) => path.startsWith('shards-b/') && files.has(path.replace('shards-b', 'shards-a')),
  )
  assert.ok(lost !== undefined)
  files.delete(lost)
  await host.start()
  assert.equal(host.agent.version?.generation, 5, 'the other slot has that shard')
  const next = (await states(6)).at(-1)
  assert.ok(next !== undefined)
  await host.offer(next)
  for (const path of files.keys()) if (/^(slot|changes|shards)-b/.test(path)) files.delete(path)
  await host.start()
  assert.equal(host.agent.version?.generation.toString(), '6')
})
