/**
 * A state on its way into force, and the one in force. Shards stay apart and parsed, so that a new
 * generation touches only what its changed shards say: nothing else is parsed, compared or written again.
 */
import {
  EMPTY_HOST_PART,
  isProbe,
  sameDestinationConfig,
  sameJson,
  sameServiceConfig,
  serviceKey,
  type HostPart,
  type HostState,
  type Manifest,
  type ServiceState,
  type Shard,
  type ShardRef,
  type StatusReport,
} from '@lvs-fleet/contract'
import { probeService } from './probe-service.ts'

export type Version = Pick<Manifest, 'epoch' | 'generation' | 'digest'>
export type HeldShard = ShardRef & { readonly shard: Shard }
/** A list that was verified, with its text, its shards, and what they say in sum: a new state shares most of its lists with the one before. */
export type HeldList = {
  readonly body: string
  readonly shards: readonly HeldShard[]
  readonly hostParts: number
  readonly services: number
}
export type HeldLists = ReadonlyMap<string, HeldList>
/** A shard that is not on disk yet, as it came. */
export type FreshShard = { readonly digest: string; readonly body: string }
export type Source = StatusReport['source']

/** Far more than the contract makes, 33 lists of 32: leaves room for other splits. */
export const MANIFEST_LISTS_MAX = 256
export const LIST_SHARDS_MAX = 256

/** A complete state that passed verification; `manifest` and `jws` are null for a plain JSON file. */
export type Candidate = {
  readonly version: Version | null
  readonly manifest: Manifest | null
  readonly jws: string | null
  /** By digest, in the manifest's order. */
  readonly lists: HeldLists
  readonly fresh: readonly FreshShard[]
}

/** What the agent holds the kernel to. Changed in place: copying 10,000 services per change would cost more than the change. */
export type InForce = {
  source: Source
  version: Version | null
  host: HostPart
  /** Virtual services, and those of paths, with the weights that the kernel is to hold; see `weigh/weighing.ts`. */
  readonly services: Map<string, ServiceState>
  /** Without those of paths, as operators count. */
  serviceCount: number
  destinationCount: number
  lists: HeldLists
}

export type ServiceChange = {
  readonly before: ServiceState | undefined
  readonly after: ServiceState | undefined
}

export type StateChange = {
  readonly host: HostPart
  readonly hostChanged: boolean
  /** Virtual services, and those of paths, that are not the same on both sides, by key. */
  readonly services: ReadonlyMap<string, ServiceChange>
}

export function nothingInForce(): InForce {
  return {
    source: 'none',
    version: null,
    host: EMPTY_HOST_PART,
    services: new Map(),
    serviceCount: 0,
    destinationCount: 0,
    lists: new Map(),
  }
}

export function heldList(body: string, shards: readonly HeldShard[]): HeldList {
  let hostParts = 0
  let services = 0
  for (const { shard } of shards) {
    if (shard.kind === 'host') hostParts++
    else services += shard.services.length
  }
  return { body, shards, hostParts, services }
}

export function* shardsOf(lists: HeldLists): Generator<HeldShard> {
  for (const { shards } of lists.values()) yield* shards
}

/** Shards that only one of both has; looks only into lists that differ. */
export function differingShards(
  before: HeldLists,
  after: HeldLists,
): { readonly gone: readonly HeldShard[]; readonly come: readonly HeldShard[] } {
  const gone = new Map<string, HeldShard>()
  for (const [digest, { shards }] of before) {
    if (!after.has(digest)) for (const shard of shards) gone.set(shard.digest, shard)
  }
  const come: HeldShard[] = []
  for (const [digest, { shards }] of after) {
    if (before.has(digest)) continue
    for (const shard of shards) if (!gone.delete(shard.digest)) come.push(shard)
  }
  return { gone: [...gone.values()], come }
}

/** What bringing `candidate` into force would change; looks only into lists and shards that differ. */
export function changeTo(inForce: InForce, candidate: Candidate): StateChange {
  const before = new Map<string, ServiceState>()
  const after = new Map<string, ServiceState>()
  let { host } = inForce
  let hostChanged = false
  const { gone, come } = differingShards(inForce.lists, candidate.lists)
  for (const { shard } of gone) {
    collectServices(shard, before)
    if (shard.kind === 'host') collectProbes(shard.host, before)
  }
  for (const { shard } of come) {
    if (shard.kind === 'host') {
      host = shard.host
      hostChanged = true
    }
    collectServices(shard, after)
  }
  // Last, so that what clients wait for is made before what only probes take.
  if (hostChanged) collectProbes(host, after)
  return { host, hostChanged, services: differing(before, after) }
}

/** Brings a state into force in memory; what it changes in the kernel is the reconciler's work. */
export function bringIntoForce(
  inForce: InForce,
  candidate: Candidate,
  change: StateChange,
  source: Source,
): void {
  for (const [key, { before, after }] of change.services) {
    count(inForce, before, -1)
    count(inForce, after, 1)
    if (after === undefined) inForce.services.delete(key)
    else inForce.services.set(key, after)
  }
  inForce.host = change.host
  inForce.source = source
  inForce.version = candidate.version
  inForce.lists = candidate.lists
}

function count(inForce: InForce, service: ServiceState | undefined, sign: 1 | -1): void {
  if (service === undefined || isProbe(service)) return
  inForce.serviceCount += sign
  inForce.destinationCount += sign * service.destinations.length
}

/** A candidate of an unsigned state that an operator gave by hand. */
export function plainCandidate(state: HostState): Candidate {
  const { services, ...host } = state
  // Digests that no published shard can have: the next signed state compares every service by value.
  const shards: HeldShard[] = [
    { name: 'host', digest: 'plain host part', shard: { kind: 'host', host } },
    {
      name: 'services',
      digest: 'plain services',
      shard: { kind: 'services', services: [...services] },
    },
  ]
  return {
    version: null,
    manifest: null,
    jws: null,
    lists: new Map([['plain file', heldList('', shards)]]),
    fresh: [],
  }
}

/** Equal in every field. */
export function sameServiceState(a: ServiceState, b: ServiceState): boolean {
  return (
    a.name === b.name &&
    a.drainSeconds === b.drainSeconds &&
    sameServiceConfig(a, b) &&
    sameJson(a.policy, b.policy) &&
    a.destinations.length === b.destinations.length &&
    a.destinations.every((destination, i) => {
      const other = b.destinations[i]
      // What says the same is mostly the same object: see read-shard.ts.
      if (destination === other) return true
      return (
        other !== undefined &&
        destination.realServer === other.realServer &&
        destination.address === other.address &&
        destination.port === other.port &&
        destination.forwarding.method === other.forwarding.method &&
        sameDestinationConfig(destination, other) &&
        sameKeys(destination.checks, other.checks) &&
        sameJson(destination.placement, other.placement) &&
        sameJson(destination.overrides, other.overrides) &&
        sameJson(destination.quorum, other.quorum) &&
        sameJson(destination.drain, other.drain)
      )
    })
  )
}

function sameKeys(a: readonly string[] = [], b: readonly string[] = []): boolean {
  return a.length === b.length && a.every((key, i) => key === b[i])
}

function collectServices(shard: Shard, into: Map<string, ServiceState>): void {
  if (shard.kind !== 'services') return
  for (const service of shard.services) into.set(serviceKey(service), service)
}

function collectProbes({ paths }: HostPart, into: Map<string, ServiceState>): void {
  for (const service of paths.map(probeService)) into.set(serviceKey(service), service)
}

function differing(
  before: ReadonlyMap<string, ServiceState>,
  after: ReadonlyMap<string, ServiceState>,
): Map<string, ServiceChange> {
  const changes = new Map<string, ServiceChange>()
  for (const [key, service] of after) {
    const old = before.get(key)
    if (old === undefined || !sameServiceState(old, service)) {
      changes.set(key, { before: old, after: service })
    }
  }
  for (const [key, service] of before) {
    if (!after.has(key)) changes.set(key, { before: service, after: undefined })
  }
  return changes
}
