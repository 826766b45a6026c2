/** What comes over the wire and is no good changes nothing, and is refused with the right code. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  formatStateDocument,
  listShards,
  manifestDigest,
  REJECTION_CODES,
  shardState,
  type NamedShard,
} from '@lvs-fleet/contract'
import { sha256Hex } from '../../services/agent/src/disk/sealed.ts'
import { createFakeController } from '../fakes/fake-controller.ts'
import { createFakeHost, type FakeHost } from '../fakes/fake-host.ts'
import { seeded } from '../fakes/seeded.ts'
import { destination, hostState, service } from '../fakes/states.ts'

const controller = createFakeController()
const stranger = createFakeController()
const stateAt = (weight: number) =>
  hostState([
    service('10.1.0.1', [destination('10.2.0.1', { weight }), destination('10.2.0.2')]),
    service('10.1.0.2', [destination('10.2.0.3')]),
  ])
const inForce = await controller.publish(stateAt(1), { generation: 5 })
const good = await controller.publish(stateAt(2), { generation: 6 })
const older = await controller.publish(stateAt(2), { generation: 4 })
const oldEpoch = await controller.publish(stateAt(2), { epoch: 1, generation: 9 })

async function runningHost(): Promise<FakeHost> {
  const host = await createFakeHost({ controller })
  await host.start()
  await host.offer(inForce)
  return host
}

type Code = (typeof REJECTION_CODES)[number]

async function refused(text: string, codes: readonly Code[], name: string): Promise<void> {
  const host = await runningHost()
  const [writes, effects, table] = [
    host.kernel.writeCount(),
    host.disk.effectCount,
    host.kernel.describe(),
  ]
  let offer = await host.agent.offer(text.split('\n'), { source: 'control-plane' })
  if (offer.is === 'incomplete') offer = host.agent.reject(offer.rejection)
  assert.equal(offer.is, 'rejected', name)
  if (offer.is === 'rejected')
    assert.ok(codes.includes(offer.rejection.code), `${name}: ${offer.rejection.code}`)
  assert.equal(host.kernel.writeCount(), writes, name)
  assert.equal(host.disk.effectCount, effects, name)
  assert.equal(host.kernel.describe(), table, name)
  const snapshot = host.agent.snapshot()
  assert.equal(snapshot.applied?.generation, 5, name)
  assert.ok(snapshot.rejected !== null, name)
}

const sign = (value: unknown) => controller.sign(JSON.stringify(value))
const bodies = [...good.lists, ...good.shards].map(({ body }) => body)
const withManifest = async (twist: object): Promise<string> =>
  formatStateDocument(await sign({ ...good.manifest, ...twist }), bodies)

/** A signed document over these shards, with `lists` in place of those that name them. */
async function documentOf(
  shards: readonly NamedShard[],
  { twist = {}, lists = listShards(shards, sha256Hex) } = {},
): Promise<string> {
  const names = lists.map(({ name, digest }) => ({ name, digest }))
  const digest = manifestDigest(names, sha256Hex)
  const jws = await sign({ ...good.manifest, lists: names, digest, ...twist })
  return formatStateDocument(
    jws,
    [...lists, ...shards].map(({ body }) => body),
  )
}

const named = (name: string, body: string): NamedShard => ({ name, body, digest: sha256Hex(body) })

const NOT_A_STATE: [string, string][] = [
  ['nothing', ''],
  ['a line break', '\n'],
  ['null', 'null'],
  ['an empty list', '[]'],
  ['an empty object', '{}'],
  ['HTML', '<!doctype html><html><body>It works!</body></html>'],
  ['a plain state', JSON.stringify(stateAt(2))],
  ['a JWS with nothing', '..'],
  ['binary', '\u0000\u0001\ufffd'],
]
for (const [name, text] of NOT_A_STATE)
  test(`${name} is unreadable`, () => refused(text, ['unreadable'], name))

test('signed, but not for us or not now', async () => {
  await refused(older.document, ['older-generation'], 'older generation')
  const epochs = await runningHost()
  await epochs.offer(await controller.publish(stateAt(3), { epoch: 2, generation: 1 }))
  const offer = await epochs.offer(oldEpoch)
  assert.equal(offer.is === 'rejected' ? offer.rejection.code : offer.is, 'older-generation')
  const other = await controller.publish(stateAt(2), { generation: 6, hostId: 'host-2' })
  await refused(other.document, ['wrong-host'], 'another host')
  const twin = await controller.publish(stateAt(2), { generation: 5 })
  await refused(twin.document, ['bad-digest'], 'same generation, other digest')
})

test('signed by somebody else', async () => {
  await refused(
    (await stranger.publish(stateAt(2), { generation: 6 })).document,
    ['bad-signature'],
    'stranger',
  )
  const [header, payload] = good.jws.split('.')
  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  await refused(formatStateDocument(`${none}.${payload}.AA`, bodies), ['bad-signature'], 'alg none')
  await refused(
    formatStateDocument(`${none}.${payload}.`, bodies),
    ['unreadable'],
    'alg none, no signature',
  )
  await refused(
    formatStateDocument(`${header}.${payload}.${inForce.jws.split('.')[2]}`, bodies),
    ['bad-signature'],
    'other signature',
  )
})

test('signed, but says what this agent does not understand or what is not so', async () => {
  await refused(await withManifest({ format: 1 }), ['unknown-format'], 'format 1')
  await refused(await withManifest({ format: 3 }), ['unknown-format'], 'format 3')
  await refused(await withManifest({ format: undefined }), ['unknown-format'], 'no format')
  await refused(formatStateDocument(await sign(null), []), ['unknown-format'], 'signed null')
  await refused(formatStateDocument(await sign([]), []), ['unknown-format'], 'signed list')
  await refused(formatStateDocument(await controller.sign('x'), []), ['unreadable'], 'signed text')
  await refused(await withManifest({ generation: 0 }), ['unreadable'], 'generation 0')
  await refused(
    await withManifest({ digest: inForce.manifest.digest }),
    ['bad-digest'],
    'other digest',
  )
  await refused(
    await withManifest({ counts: { services: 3, destinations: 3 } }),
    ['unreadable'],
    'other counts',
  )
  await refused(await withManifest({ lists: [] }), ['bad-digest'], 'no lists')
  await refused(await withManifest({ lists: undefined }), ['unreadable'], 'no word of lists')
  for (const [name, left] of [
    ['all shards missing', bodies.slice(0, 1)],
    ['a shard missing', bodies.slice(0, -1)],
    ['a list missing', bodies.slice(1)],
    ['all missing', []],
  ] as const) {
    await refused(formatStateDocument(good.jws, left), ['bad-digest'], name)
  }
  await refused(
    formatStateDocument(good.jws, [...bodies, '{"kind":"host"}']),
    ['bad-digest'],
    'a shard too many',
  )
  const empty = await controller.publish(hostState([]), { generation: 6 })
  await refused(empty.document, ['shrink-held'], 'an empty state')
})

test('signed shards of an unknown kind or shape are unreadable', async () => {
  for (const body of [
    '{"kind":"flowers"}',
    '[]',
    'null',
    '{"kind":"services","services":[{}]}',
    'x',
  ]) {
    await refused(await documentOf([named('host', body)]), ['unreadable'], body)
  }
})

test('signed lists of an unknown shape, or that contradict one another, are unreadable', async () => {
  for (const body of [
    '{"shards":[]}',
    'null',
    'x',
    '[{"name":"host"}]',
    '[{"name":1,"digest":2}]',
  ]) {
    await refused(await documentOf([], { lists: [named('list/0', body)] }), ['unreadable'], body)
  }
  const [host = named('', '')] = good.shards
  const many = Array.from({ length: 300 }, (_, n) => ({ name: `s${n}`, digest: host.digest }))
  const lists = [named('list/0', JSON.stringify(many))]
  await refused(await documentOf([host], { lists }), ['unreadable'], 'a list without end')
  await refused(await documentOf([host, host]), ['unreadable'], 'one name for two shards')
})

test('fields of a newer peer are ignored', async () => {
  const host = await runningHost()
  const shards = shardState(stateAt(2), sha256Hex).map((shard) => {
    return named(shard.name, shard.body.replace('{', '{"a_newer_field":{"x":1},'))
  })
  const document = await documentOf(shards, { twist: { colour: 'blue' } })
  const offer = await host.agent.offer(document.split('\n'), { source: 'control-plane' })
  assert.equal(offer.is, 'applied')
})

test('cut and flipped documents: 0 applied', async () => {
  const random = seeded(5)
  const text = good.document
  const codes = REJECTION_CODES.filter((code) => code !== 'shrink-held')
  for (let i = 0; i < 400; i++) {
    const bytes = Buffer.from(text)
    const at = random.below(bytes.length - 1)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(7))
    const mutant = i % 3 === 0 ? text.slice(0, at) : bytes.toString('latin1')
    // Only white space at the end of the document may be lost without loss.
    if (mutant.trimEnd() === text.trimEnd()) continue
    const lines = mutant.split('\n')
    // The last characters of a base64url text hold bits that mean nothing: still the same signed manifest.
    if (
      lines[0] !== good.jws &&
      lines.slice(1).join() === text.split('\n').slice(1).join() &&
      at === good.jws.length - 1
    )
      continue
    await refused(mutant, codes, `mutant ${i} at ${at}`)
  }
})

test('what was refused does not stand in the way of what is right', async () => {
  const host = await runningHost()
  await host.agent.offer(['<html>'], { source: 'control-plane' })
  assert.equal((await host.offer(good)).is, 'applied')
  assert.equal(host.agent.snapshot().rejected, null)
})
