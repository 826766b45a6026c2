import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
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

  it('reads what the contract reads, and nothing else, whatever is broken in the text', () => {
    const body = canonicalJson(
      shardOf(
        [destination('10.2.0.1'), destination('10.2.0.2', { weight: 0 })],
        [],
        [destination('fd02::1', { forwarding: { method: 'tun', tunnel: { type: 'ipip' } } })],
      ),
    )
    const piece = fc.constantFrom(
      '',
      '0',
      '1',
      '-1',
      '"',
      '\\',
      ',',
      '}',
      ']',
      '{',
      '[',
      'null',
      ',"x":[{}]',
      '"x"',
      '"destinations":0',
      '"destinations":1',
      '"destinations":[',
      ',"destinations":2',
      '}]',
    )
    const position = fc.nat({ max: body.length })
    fc.assert(
      fc.property(position, fc.nat({ max: 40 }), piece, (at, cut, put) => {
        const text = body.slice(0, at) + put + body.slice(at + cut)
        const read = parseShard(text)
        assert.deepEqual('shard' in read ? read.shard : undefined, byContract(text))
      }),
      { numRuns: 5_000 },
    )
  })

  it('reads destinations alike but for name and address, and still checks those', () => {
    const shard = shardOf([destination('10.2.0.1'), destination('10.2.0.2')])
    const body = canonicalJson(shard)
    assert.deepEqual(parseShard(body), { shard })
    for (const [from, to, field] of [
      ['"address":"10.2.0.2"', '"address":"10.2.0.256"', 'address'],
      ['"address":"10.2.0.2"', '"address":2', 'address'],
      ['"realServer":"rs-10.2.0.2"', '"realServer":null', 'realServer'],
    ] as const) {
      assert.ok(body.includes(from), from)
      const result = parseShard(body.replaceAll(from, to))
      assert('problem' in result, to)
      assert.match(result.problem, new RegExp(`services\\.0\\.destinations\\.1\\.${field}`))
    }
  })

  it('reads services alike whose settings are alike, and still checks their names', () => {
    const shard = shardOf([destination('10.2.0.1')], [destination('10.2.0.2')])
    const body = canonicalJson(shard)
    assert.deepEqual(parseShard(body), { shard })
    for (const [from, to] of [
      ['"address":"10.1.0.2"', '"address":"10.1.0.256"'],
      ['"address":"10.1.0.2"', '"address":1'],
      ['"port":80,"protocol"', '"port":0,"protocol"'],
    ] as const) {
      const result = parseShard(body.replaceAll(from, to))
      assert('problem' in result, to)
      assert.match(result.problem, /services\.[01]\.(address|port)/)
    }
  })
})

/** What the schema makes of the text; undefined where it refuses it. */
function byContract(text: string): Shard | undefined {
  try {
    return shardSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
