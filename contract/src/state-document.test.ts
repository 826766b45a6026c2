import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ip } from './address.ts'
import { canonicalJson } from './canonical.ts'
import { EMPTY_HOST_STATE, type ServiceState } from './host-state.ts'
import { joinShards, manifestDigest, shardSchema, shardState } from './state-document.ts'

const sha256Hex = (text: string) => createHash('sha256').update(text).digest('hex')

function services(count: number): ServiceState[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `s${i}`,
    protocol: 'tcp',
    address: ip(`10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`),
    port: 80,
    scheduler: 'rr',
    flags: [],
    persistence: null,
    drainSeconds: 0,
    destinations: [],
  }))
}

describe('shards', () => {
  it('join to the state that was split, whatever its size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 300 }), (count) => {
        const state = { ...EMPTY_HOST_STATE, services: services(count) }
        const joined = joinShards(
          shardState(state, sha256Hex).map(({ body }) => shardSchema.parse(JSON.parse(body))),
        )
        const byName = (a: ServiceState, b: ServiceState) => (a.name < b.name ? -1 : 1)
        assert.deepEqual(
          { ...joined, services: joined.services.toSorted(byName) },
          { ...state, services: state.services.toSorted(byName) },
        )
      }),
      { numRuns: 50 },
    )
  })

  it('have a digest over their canonical JSON, whatever else they carry', () => {
    const shards = shardState({ ...EMPTY_HOST_STATE, services: services(100) }, sha256Hex)
    const listed = shards.map(({ name, digest }) => ({ name, digest }))
    assert.equal(manifestDigest(shards, sha256Hex), sha256Hex(canonicalJson(listed)))
  })

  it('moves one small shard when one of 10,000 services changes', () => {
    const before = services(10_000)
    const after = before.map((service, i) =>
      i === 4_711 ? { ...service, scheduler: 'wrr' as const } : service,
    )
    const digests = new Set(
      shardState({ ...EMPTY_HOST_STATE, services: before }, sha256Hex).map(({ digest }) => digest),
    )
    const changed = shardState({ ...EMPTY_HOST_STATE, services: after }, sha256Hex).filter(
      ({ digest }) => !digests.has(digest),
    )
    assert.equal(changed.length, 1)
    assert.ok((changed[0]?.body.length ?? 0) < 20_000)
  })
})

describe('canonicalJson', () => {
  it('does not depend on the order of keys and leaves out what is undefined', () => {
    assert.equal(
      canonicalJson({ b: 1, a: [true, null, { d: 'x', c: undefined }] }),
      '{"a":[true,null,{"d":"x"}],"b":1}',
    )
  })

  it('parses back to the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const normal: unknown = JSON.parse(JSON.stringify(value))
        assert.deepEqual(JSON.parse(canonicalJson(normal)), normal)
      }),
    )
  })

  it('refuses what JSON cannot say', () => {
    assert.throws(() => canonicalJson({ a: Number.NaN }))
    assert.throws(() => canonicalJson([1n]))
  })
})
