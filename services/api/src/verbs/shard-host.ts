/**
 * Shards of compiled states, computed once per state and once per bucket of services; and what did not change kept as
 * the very same object, so that a mutation pays for the services that it touches and not for the fleet. Pure but for its memory,
 * which goes with the states.
 */
import {
  listShards,
  manifestDigest,
  nameShard,
  partsOf,
  sameJson,
  serviceKey,
  type HostState,
  type NamedShard,
  type ServiceState,
  type ShardPart,
  type ShardRef,
} from '@lvs-fleet/contract'
import type { Compiled, CompiledHost } from '../compile/compile.ts'
import { sha256Hex } from '../identity/secret.ts'

export type ShardedState = { readonly shards: readonly NamedShard[]; readonly digest: string }

const known = new WeakMap<HostState, ShardedState>()

export function shardsOf(state: HostState): ShardedState {
  const held = known.get(state)
  if (held !== undefined) return held
  const shards = partsOf(state).map(shardOf)
  const sharded = { shards, digest: manifestDigest(listShards(shards, sha256Hex), sha256Hex) }
  known.set(state, sharded)
  return sharded
}

/** By the first service of a bucket. */
const knownBuckets = new WeakMap<ServiceState, { bucket: Bucket; named: NamedShard }>()
type Bucket = readonly ServiceState[]

/** A bucket of the very same services as before, under the same name, is not written out again. */
function shardOf(part: ShardPart): NamedShard {
  const bucket = part.shard.kind === 'services' ? part.shard.services : []
  const [first] = bucket
  if (first === undefined) return nameShard(part, sha256Hex)
  const held = knownBuckets.get(first)
  if (held !== undefined && held.named.name === part.name && haveSameItems(held.bucket, bucket))
    return held.named
  const named = nameShard(part, sha256Hex)
  knownBuckets.set(first, { bucket, named })
  return named
}

function haveSameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i])
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

/** `next` with every state and every service that equals the one before replaced by it: comparing is far cheaper than hashing. */
export function shareUnchanged(before: Compiled, next: Compiled): Compiled {
  const hosts = new Map<string, CompiledHost>()
  for (const [key, host] of next.hosts) {
    const old = before.hosts.get(key)?.state
    hosts.set(key, old === undefined ? host : { ...host, state: shareState(old, host.state) })
  }
  return { ...next, hosts }
}

function shareState(old: HostState, next: HostState): HostState {
  const services = shareServices(old.services, next.services)
  const { services: _, ...oldHost } = old
  const { services: __, ...nextHost } = next
  const isSame = haveSameItems(old.services, services) && sameJson(oldHost, nextHost)
  return isSame ? old : { ...next, services }
}

function shareServices(old: readonly ServiceState[], next: readonly ServiceState[]) {
  const byKey = new Map(old.map((service) => [serviceKey(service), service]))
  return next.map((service) => {
    const stood = byKey.get(serviceKey(service))
    return stood !== undefined && sameJson(stood, service) ? stood : service
  })
}
