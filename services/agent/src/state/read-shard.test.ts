import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { canonicalJson, shardSchema, type DestinationState, type Shard } from '@lvs-fleet/contract'
import { destination, service } from '../../../../test/fakes/states.ts'
import { parseShard } from './read-shard.ts'

function shardOf(...lists: readonly (readonly DestinationState[])[]): Shard {
  return {
    kind: 'services',
    services: lists.map((list, i) => service(`10.1.0.${i + 1}`, list)),
  }
}

function destinationsOf(shard: Shard): DestinationState[] {
  const result = parseShard(canonicalJson(shard))
  assert('shard' in result && result.shard.kind === 'services', JSON.stringify(result))
  return result.shard.services.flatMap((item) => item.destinations)
}

describe('parseShard', () => {
  it('gives what the contract says of the same text', () => {
    const shard = shardOf([
      destination('10.2.0.1', { forwarding: { method: 'tun', tunnel: { type: 'ipip' } } }),
      destination('fd02::1', { weight: 0 }),
    ])
    const body = canonicalJson(shard)
    assert.deepEqual(parseShard(body), { shard: shardSchema.parse(JSON.parse(body)) })
  })

  it('keeps one object for equal destinations, also of other shards', () => {
    const list = [destination('10.2.0.1')]
    const [first, second] = destinationsOf(shardOf(list, list))
    assert.equal(first, second)
    assert.equal(destinationsOf(shardOf(list))[0], first)
  })

  it('tells destinations apart that differ in any field', () => {
    const base = destination('10.2.0.1')
    const others: Partial<DestinationState>[] = [
      { realServer: 'other' },
      { port: 81 },
      { forwarding: { method: 'nat' } },
      { weight: 2 },
      { upperThreshold: 1 },
      { upperThreshold: 2, lowerThreshold: 1 },
    ]
    for (const fields of others) {
      const changed = { ...base, ...fields }
      assert.deepEqual(destinationsOf(shardOf([base], [changed])), [base, changed])
    }
  })

  it('takes addresses in any spelling and gives the canonical one', () => {
    const body = canonicalJson(shardOf([destination('fd02::1')])).replace(
      '"fd02::1"',
      '"FD02:0::1"',
    )
    const result = parseShard(body)
    assert('shard' in result && result.shard.kind === 'services')
    assert.equal(result.shard.services[0]?.destinations[0]?.address, 'fd02::1')
  })

  it('says where a destination cannot be read, each time', () => {
    const body = canonicalJson(shardOf([destination('10.2.0.1')])).replace(
      '"weight":1',
      '"weight":-1',
    )
    for (let i = 0; i < 2; i++) {
      const result = parseShard(body)
      assert('problem' in result)
      assert.match(result.problem, /services\.0\.destinations\.0\.weight/)
    }
  })
})
