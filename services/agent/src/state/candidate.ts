/**
 * A state on its way into force, and the one in force. Shards stay apart and parsed, so that a new
 * generation touches only what its changed shards say: nothing else is parsed, compared or written again.
 */
import {
  canonicalJson,
  EMPTY_HOST_PART,
  isProbe,
  sameDestinationConfig,
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
export type HeldShard = { readonly digest: string; readonly shard: Shard }
/** A list of shards that was verified: its text, and what that says. */
export type HeldList = { readonly body: string; readonly shards: readonly ShardRef[] }
/** A shard that is not on disk yet, as it came. */
export type FreshShard = { readonly digest: string; readonly body: string }
export type Source = StatusReport['source']

/** More than the contract's bucket limit of 256 + host part makes: leaves room for other splits of the same size. */
export const MANIFEST_LISTS_MAX = 256
export const LIST_SHARDS_MAX = 256

/** A complete state that passed verification; `manifest` and `jws` are null for a plain JSON file. */
export type Candidate = {
  readonly version: Version | null
  readonly manifest: Manifest | null
  readonly jws: string | null
  /** By digest, in the manifest's order. */
  readonly lists: ReadonlyMap<string, HeldList>
  readonly shards: ReadonlyMap<string, HeldShard>
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
  lists: ReadonlyMap<string, HeldList>
  shards: ReadonlyMap<string, HeldShard>
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
    shards: new Map(),
  }
}

/** What bringing `candidate` into force would change; looks only into shards whose digest differs. */
export function changeTo(inForce: InForce, candidate: Candidate): StateChange {
  const before = new Map<string, ServiceState>()
  const after = new Map<string, ServiceState>()
  let { host } = inForce
  let hostChanged = false
  for (const [name, { digest, shard }] of inForce.shards) {
    if (candidate.shards.get(name)?.digest === digest) continue
    collectServices(shard, before)
    if (shard.kind === 'host') collectProbes(shard.host, before)
  }
  for (const [name, { digest, shard }] of candidate.shards) {
    if (inForce.shards.get(name)?.digest === digest) continue
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
  inForce.shards = candidate.shards
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
  return {
    version: null,
    manifest: null,
    jws: null,
    lists: new Map(),
    shards: new Map<string, HeldShard>([
      ['host', { digest: 'plain file', shard: { kind: 'host', host } }],
      ['services', { digest: 'plain file', shard: { kind: 'services', services: [...services] } }],
    ]),
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

function sameJson(a: unknown, b: unknown): boolean {
  return a === b || (a !== undefined && b !== undefined && canonicalJson(a) === canonicalJson(b))
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
