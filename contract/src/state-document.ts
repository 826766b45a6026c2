/**
 * The document that carries a host state on the wire, on disk and into break-glass `apply FILE`.
 *
 * Line 1 is a compact JWS (EdDSA) over the manifest. Then come lists, each naming up to 32 shards, and then the
 * shards themselves: a line each, canonical JSON. The manifest names each list with its SHA-256 and a list each of its
 * shards, so one signature covers all, any cache may carry the document, and a change of one virtual service moves
 * a small manifest, a list and a shard, however many others there are. A document may leave out what its reader
 * holds already. Hash and signature functions are the caller's: nothing here does I/O.
 */
import * as z from 'zod'
import { canonicalJson, fnv1a32 } from './canonical.ts'
import {
  EMPTY_HOST_PART,
  hostPartSchema,
  roleSchema,
  serviceKey,
  serviceStateSchema,
  type HostPart,
  type HostState,
  type ServiceState,
} from './host-state.ts'
import { naturalSchema, positiveSchema } from './shapes.ts'

const BUCKETS_MAX = 1_024
/** Services of one bucket, until there are too many of them. */
const BUCKET_SIZE = 8
/** Shards of one list: about the square root of how many shards a large state has. */
const LIST_SIZE = 32

/** Version of this format; a reader refuses what it does not know. */
export const STATE_FORMAT = 2

const DIGEST = /^[0-9a-f]{64}$/
const digestSchema = z.string().check(z.regex(DIGEST))

/** A shard's or a list's name and the SHA-256 of its body. */
export type ShardRef = { readonly name: string; readonly digest: string }

/** By hand, because each change brings dozens of them. */
function areShardRefs(value: unknown): value is ShardRef[] {
  return (
    Array.isArray(value) &&
    value.every(
      (item: unknown) =>
        typeof item === 'object' &&
        item !== null &&
        'name' in item &&
        typeof item.name === 'string' &&
        'digest' in item &&
        typeof item.digest === 'string' &&
        DIGEST.test(item.digest),
    )
  )
}

export const manifestSchema = z.object({
  format: z.literal(STATE_FORMAT),
  host: z.object({ id: z.string(), name: z.string(), role: roleSchema, site: z.string() }),
  /** Bumped by an operator after a restore from backup; outranks the generation. */
  epoch: positiveSchema,
  /** +1 for each published change of this host's state. */
  generation: positiveSchema,
  /** The last generation for which an operator allowed a large removal; 0 = never. */
  shrinkAllowedGeneration: naturalSchema,
  counts: z.object({ services: naturalSchema, destinations: naturalSchema }),
  lists: z.custom<ShardRef[]>(areShardRefs, { error: 'names no lists of shards' }),
  /** SHA-256 of the canonical JSON of `lists`: the digest of the whole state. */
  digest: digestSchema,
})
export type Manifest = z.infer<typeof manifestSchema>

export const shardSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('host'), host: hostPartSchema }),
  z.object({ kind: z.literal('services'), services: z.array(serviceStateSchema) }),
])
export type Shard = z.infer<typeof shardSchema>

export type NamedShard = ShardRef & { readonly body: string }

/** A shard that is not yet written out. */
export type ShardPart = { readonly name: string; readonly shard: Shard }

/** Splits a state into its host part and buckets of about 8 services; deterministic. */
export function partsOf(state: HostState): ShardPart[] {
  const { services, ...host } = state
  const bucketCount = bucketCountFor(services.length)
  const buckets = new Map<number, ServiceState[]>()
  for (const service of services) {
    const bucket = fnv1a32(serviceKey(service)) % bucketCount
    const list = buckets.get(bucket)
    if (list === undefined) buckets.set(bucket, [service])
    else list.push(service)
  }
  const parts: ShardPart[] = [{ name: 'host', shard: { kind: 'host', host } }]
  for (const [bucket, list] of [...buckets].toSorted(([a], [b]) => a - b)) {
    const shard: Shard = { kind: 'services', services: list }
    parts.push({ name: `services/${bucket}-${bucketCount}`, shard })
  }
  return parts
}

export function nameShard(
  { name, shard }: ShardPart,
  sha256Hex: (text: string) => string,
): NamedShard {
  const body = canonicalJson(shard)
  return { name, digest: sha256Hex(body), body }
}

export function shardState(state: HostState, sha256Hex: (text: string) => string): NamedShard[] {
  return partsOf(state).map((part) => nameShard(part, sha256Hex))
}

/** The lists that name these shards, in their order; deterministic. A body is the canonical JSON of its shards' refs. */
export function listShards(
  shards: readonly ShardRef[],
  sha256Hex: (text: string) => string,
): NamedShard[] {
  const lists: NamedShard[] = []
  for (let at = 0; at < shards.length; at += LIST_SIZE) {
    const body = refsText(shards.slice(at, at + LIST_SIZE))
    lists.push({ name: `list/${at / LIST_SIZE}`, digest: sha256Hex(body), body })
  }
  return lists
}

/** What a list names; undefined when it is none. */
export function parseShardList(body: string): readonly ShardRef[] | undefined {
  try {
    const value: unknown = JSON.parse(body)
    return areShardRefs(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** The state that a complete set of shards says. */
export function joinShards(shards: Iterable<Shard>): HostState {
  let host: HostPart = EMPTY_HOST_PART
  const services: ServiceState[] = []
  for (const shard of shards) {
    if (shard.kind === 'host') host = shard.host
    else services.push(...shard.services)
  }
  return { ...host, services }
}

export function manifestDigest(
  lists: readonly ShardRef[],
  sha256Hex: (text: string) => string,
): string {
  return sha256Hex(refsText(lists))
}

/** Canonical JSON, written straight. */
function refsText(refs: readonly ShardRef[]): string {
  const items = refs.map(
    ({ name, digest }) => `{"digest":${quoted(digest)},"name":${quoted(name)}}`,
  )
  return `[${items.join(',')}]`
}

/** As JSON; most names need no more than quotes. */
function quoted(text: string): string {
  return /^[\w/-]*$/.test(text) ? `"${text}"` : JSON.stringify(text)
}

/** The ETag of a published state: changes whenever the agent must look again. */
export function stateEtag(manifest: Pick<Manifest, 'epoch' | 'generation' | 'digest'>): string {
  return `"${manifest.epoch}.${manifest.generation}.${manifest.digest.slice(0, 16)}"`
}

/** Compares (epoch, generation): negative when a is older. */
export function compareVersions(
  a: Pick<Manifest, 'epoch' | 'generation'>,
  b: Pick<Manifest, 'epoch' | 'generation'>,
): number {
  return a.epoch - b.epoch || a.generation - b.generation
}

export function formatStateDocument(jws: string, bodies: Iterable<string>): string {
  return `${[jws, ...bodies].join('\n')}\n`
}

/**
 * Smallest power of two that keeps buckets at about 8 services; at most 1,024, because each is a file of its own.
 * With 10,000 services of ten destinations a change then moves 16 KB of shard, and 8 KB of manifest and list.
 */
function bucketCountFor(serviceCount: number): number {
  let count = 1
  while (count < BUCKETS_MAX && count * BUCKET_SIZE < serviceCount) count *= 2
  return count
}
