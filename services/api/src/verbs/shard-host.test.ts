import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  EMPTY_HOST_STATE,
  ip,
  listShards,
  manifestDigest,
  shardState,
  type HostState,
} from '@lvs-fleet/contract'
import fc from 'fast-check'
import { largeState, service } from '../../../../test/fakes/states.ts'
import type { Compiled } from '../compile/compile.ts'
import { sha256Hex } from '../identity/secret.ts'
import { shardsOf, shareUnchanged } from './shard-host.ts'

function compiled(state: HostState): Compiled {
  const host = { role: 'director', name: 'dir-a', site: 'a', state } as const
  return { hosts: new Map([['director/dir-a', host]]), problems: [], warnings: [] }
}

function stateIn({ hosts }: Compiled): HostState {
  const host = hosts.get('director/dir-a')
  assert.ok(host !== undefined)
  return host.state
}

/** What a process that remembers nothing would publish. */
function fresh(state: HostState) {
  const shards = shardState(structuredClone(state), sha256Hex)
  return { shards, digest: manifestDigest(listShards(shards, sha256Hex), sha256Hex) }
}

describe('what did not change between two compiles', () => {
  it('is the very same object, so that one service is written out for one that changed', () => {
    const before = compiled(largeState(100, 2))
    const changed = structuredClone(stateIn(before))
    const weighed = changed.services[42]?.destinations[0]
    assert.ok(weighed !== undefined)
    weighed.weight = 7
    const after = stateIn(shareUnchanged(before, compiled(changed)))
    const kept = after.services.filter((service, i) => service === stateIn(before).services[i])
    assert.equal(kept.length, 99)
    const stood = new Set(shardsOf(stateIn(before)).shards)
    const written = shardsOf(after).shards.filter((shard) => !stood.has(shard))
    assert.equal(written.filter(({ name }) => name !== 'host').length, 1)
  })

  it('is the whole state where nothing did, and not where only the host part did', () => {
    const before = compiled(largeState(3, 2))
    const same = structuredClone(stateIn(before))
    assert.equal(stateIn(shareUnchanged(before, compiled(same))), stateIn(before))
    const other = { ...same, lingerSeconds: same.lingerSeconds + 1 }
    const after = stateIn(shareUnchanged(before, compiled(other)))
    assert.deepEqual(after, other)
  })

  it('never shows in what is published, whatever is changed, added, removed or put elsewhere', () => {
    const step = fc.record({
      kind: fc.constantFrom('weight', 'add', 'remove', 'swap', 'linger'),
      at: fc.nat(),
    })
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 12 }),
        fc.integer({ min: 0, max: 40 }),
        (steps, n) => {
          let held = compiled(largeState(n, 2))
          for (const { kind, at } of steps) {
            const next = changedBy(structuredClone(stateIn(held)), kind, at)
            const expected = fresh(next)
            held = shareUnchanged(held, compiled(next))
            assert.deepEqual(stateIn(held), next)
            const { shards, digest } = shardsOf(stateIn(held))
            assert.deepEqual({ shards, digest }, expected)
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it('is named anew where the number of buckets changes, even a bucket that holds what it held', () => {
    // The lowest bit of an FNV is that of the sum of all characters: of two buckets eight services share one.
    const many = [1, 3, 5, 7, 9, 21, 23, 25, 2].map((n) => service(`10.8.0.${n}`, []))
    const before = compiled({ ...EMPTY_HOST_STATE, services: many })
    assert.deepEqual(bucketNames(stateIn(before)), ['services/0-2', 'services/1-2'])
    const few = compiled({ ...EMPTY_HOST_STATE, services: many.slice(0, -1) })
    const after = stateIn(shareUnchanged(before, few))
    assert.deepEqual(bucketNames(after), ['services/0-1'])
    assert.deepEqual(shardsOf(after).shards, fresh(after).shards)
  })
})

function bucketNames(state: HostState): string[] {
  return shardsOf(state).shards.flatMap(({ name }) => (name === 'host' ? [] : [name]))
}

function changedBy(state: HostState, kind: string, at: number): HostState {
  const { services } = state
  const i = at % Math.max(1, services.length)
  const address = ip(`10.9.0.${at % 200}`)
  const [first] = services[i]?.destinations ?? []
  if (kind === 'linger') return { ...state, lingerSeconds: at % 100 }
  if (kind === 'remove') return { ...state, services: services.toSpliced(i, 1) }
  if (kind === 'swap')
    return { ...state, services: [...services.slice(i), ...services.slice(0, i)] }
  if (kind === 'weight' && first !== undefined) first.weight = at % 65_000
  if (kind === 'add' && services.every((one) => 'firewallMark' in one || one.address !== address))
    return { ...state, services: [...services, service(address, [])] }
  return state
}
