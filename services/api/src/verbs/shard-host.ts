/**
 * Shards of compiled states, computed once per state; and states that did not change kept as the very same
 * object, so that a mutation pays for the hosts that it touches and not for the fleet. Pure but for its memory,
 * which goes with the states.
 */
import { isDeepStrictEqual } from 'node:util'
import {
  listShards,
  manifestDigest,
  shardState,
  type HostState,
  type NamedShard,
  type ShardRef,
} from '@lvs-fleet/contract'
import type { Compiled, CompiledHost } from '../compile/compile.ts'
import { sha256Hex } from '../identity/secret.ts'

export type ShardedState = { readonly shards: readonly NamedShard[]; readonly digest: string }

const known = new WeakMap<HostState, ShardedState>()

export function shardsOf(state: HostState): ShardedState {
  const held = known.get(state)
  if (held !== undefined) return held
  const shards = shardState(state, sha256Hex)
  const sharded = { shards, digest: manifestDigest(listShards(shards, sha256Hex), sha256Hex) }
  known.set(state, sharded)
  return sharded
}

const knownLists = new WeakMap<readonly ShardRef[], readonly NamedShard[]>()

/** The lists that name these shards, made once for each array of them. */
export function listsOf(shards: readonly ShardRef[]): readonly NamedShard[] {
  const held = knownLists.get(shards)
  if (held !== undefined) return held
  const lists = listShards(shards, sha256Hex)
  knownLists.set(shards, lists)
  return lists
}

/** `next` with every state that equals the one before replaced by it: comparing is far cheaper than hashing. */
export function shareUnchanged(before: Compiled, next: Compiled): Compiled {
  const hosts = new Map<string, CompiledHost>()
  for (const [key, host] of next.hosts) {
    const old = before.hosts.get(key)?.state
    const isSame = old !== undefined && isDeepStrictEqual(old, host.state)
    hosts.set(key, isSame ? { ...host, state: old } : host)
  }
  return { ...next, hosts }
}
