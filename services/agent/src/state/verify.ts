/**
 * Is this document a state for this host, signed by our controller, not older than what is in force,
 * and complete? Takes lines as they arrive, so that nothing unsigned is ever held in memory: line 1 must
 * verify before line 2 is looked at, and every further line must be named by the signed manifest or by a list of it.
 * A refusal is a value with a code of REJECTION_CODES, because refusing is normal work.
 */
import type { KeyObject } from 'node:crypto'
import {
  compareVersions,
  manifestDigest,
  manifestSchema,
  parseShardList,
  STATE_FORMAT,
  type Manifest,
  type Rejection,
  type Shard,
  type ShardRef,
} from '@lvs-fleet/contract'
import { sha256Hex } from '../disk/sealed.ts'
import { verifyCompact } from '../jws.ts'
import {
  heldList,
  LIST_SHARDS_MAX,
  MANIFEST_LISTS_MAX,
  type Candidate,
  type FreshShard,
  type HeldList,
  type HeldLists,
  type HeldShard,
  type Version,
} from './candidate.ts'
import { parseShard } from './read-shard.ts'

/** Whose signature counts, and for which host. */
export type Trust = { readonly controllerKeys: readonly KeyObject[]; readonly hostId: string }

export type VerifyContext = Trust & {
  /** What is in force; null = nothing yet, or an operator forces an older one. */
  readonly current: Version | null
  /** In force: a new state is the same but for what changed. */
  readonly held: HeldLists
  /** A shard that is on disk; undefined when it is not. */
  findShard(digest: string): Promise<Shard | undefined>
}

export type Verdict =
  | { readonly is: 'good'; readonly candidate: Candidate }
  /** Same version and digest as what is in force. */
  | { readonly is: 'same'; readonly manifest: Manifest }
  /** Whole but for lists or shards that neither the document nor we have: ask again for all of it. */
  | { readonly is: 'incomplete'; readonly rejection: Rejection }
  | { readonly is: 'rejected'; readonly rejection: Rejection }

export async function verifyDocument(
  lines: AsyncIterable<string> | Iterable<string>,
  context: VerifyContext,
): Promise<Verdict> {
  let parts: Parts | undefined
  for await (const line of lines) {
    if (parts === undefined) {
      const first = await verifyManifest(line, context)
      if (!first.ok) return rejected(first.rejection)
      const age = judgeAge(first.manifest, context.current)
      if (age === 'same') return { is: 'same', manifest: first.manifest }
      if (age !== 'newer') return rejected(age)
      parts = partsOf(first.manifest, line)
      continue
    }
    const problem = line === '' ? undefined : take(parts, line, context.held)
    if (problem !== undefined) return rejected(problem)
  }
  if (parts === undefined) return rejected(refuse('unreadable', 'the document is empty'))
  return assemble(parts, context)
}

/** A list as it arrived. */
type ArrivedList = { readonly body: string; readonly refs: readonly ShardRef[] }

/** A document as far as it has been read. */
type Parts = {
  readonly manifest: Manifest
  readonly jws: string
  /** Digests of the manifest's lists; those that have arrived with what they say. */
  readonly lists: Map<string, ArrivedList | undefined>
  /** Named by lists that arrived. */
  readonly named: Set<string>
  readonly arrived: Map<string, Shard>
  readonly fresh: FreshShard[]
}

function partsOf(manifest: Manifest, jws: string): Parts {
  const lists = new Map(manifest.lists.map(({ digest }) => [digest, undefined]))
  return { manifest, jws, lists, named: new Set(), arrived: new Map(), fresh: [] }
}

/** Takes up a line after the first: a list that the manifest names, or a shard that a list names. */
function take(parts: Parts, line: string, held: HeldLists): Rejection | undefined {
  const { manifest, lists, named, arrived, fresh } = parts
  const digest = sha256Hex(line)
  if (lists.has(digest)) {
    const refs = parseShardList(line)
    if (refs === undefined) return refuse('unreadable', 'a list names no shards', manifest)
    if (refs.length > LIST_SHARDS_MAX) {
      const detail = `a list of ${refs.length} shards, at most ${LIST_SHARDS_MAX}`
      return refuse('unreadable', detail, manifest)
    }
    lists.set(digest, { body: line, refs })
    for (const ref of refs) named.add(ref.digest)
    return undefined
  }
  if (!named.has(digest) && !isNamed(lists, held, digest)) {
    return refuse(
      'bad-digest',
      'a line of the document is named neither by its manifest nor by a list',
      manifest,
    )
  }
  const shard = parseShard(line)
  if ('problem' in shard) return refuse('unreadable', shard.problem, manifest)
  if (!arrived.has(digest)) fresh.push({ digest, body: line })
  arrived.set(digest, shard.shard)
  return undefined
}

/** By a list that was held: rare, because who has the list has its shards. */
function isNamed(lists: Parts['lists'], held: HeldLists, digest: string): boolean {
  for (const list of lists.keys()) {
    if (held.get(list)?.shards.some((shard) => shard.digest === digest) === true) return true
  }
  return false
}

async function assemble(parts: Parts, context: VerifyContext): Promise<Verdict> {
  const { manifest, jws, fresh } = parts
  const held = context.held
  const lists = new Map<string, HeldList>()
  /** Of lists that the new state names no more. */
  const left = new Map<string, HeldShard>()
  for (const [digest, { shards }] of held) {
    if (!parts.lists.has(digest)) for (const shard of shards) left.set(shard.name, shard)
  }
  let missing = 0
  let named = 0
  for (const [digest, arrived] of parts.lists) {
    const known = held.get(digest)
    if (known !== undefined) {
      lists.set(digest, known)
      named += known.shards.length
      continue
    }
    if (arrived === undefined)
      return incomplete(manifest, 'a list of shards is not in the document')
    const shards: HeldShard[] = []
    for (const ref of arrived.refs) {
      const shard = await resolve(ref, left, parts, context)
      if (shard === undefined) missing++
      else shards.push(shard)
    }
    named += arrived.refs.length
    lists.set(digest, heldList(arrived.body, shards))
  }
  if (missing > 0) {
    const detail = `${missing} of ${named} shards are neither in the document nor on disk`
    return incomplete(manifest, detail)
  }
  const problem = isNameTwice(lists, held, left)
    ? 'two shards have one name'
    : contradictionIn(manifest, lists)
  if (problem !== undefined) return rejected(refuse('unreadable', problem, manifest))
  const { epoch, generation, digest } = manifest
  return {
    is: 'good',
    candidate: { version: { epoch, generation, digest }, manifest, jws, lists, fresh },
  }
}

async function resolve(
  ref: ShardRef,
  left: ReadonlyMap<string, HeldShard>,
  { arrived }: Parts,
  context: VerifyContext,
): Promise<HeldShard | undefined> {
  const before = left.get(ref.name)
  if (before?.digest === ref.digest) return before
  const shard = arrived.get(ref.digest) ?? (await context.findShard(ref.digest))
  return shard === undefined ? undefined : { ...ref, shard }
}

function incomplete(manifest: Manifest, detail: string): Verdict {
  return { is: 'incomplete', rejection: refuse('bad-digest', detail, manifest) }
}

/** Held lists agree with each other already: only where a new one brings a name that none of those left had are all asked. */
function isNameTwice(
  lists: HeldLists,
  held: HeldLists,
  left: ReadonlyMap<string, HeldShard>,
): boolean {
  const come = new Set<string>()
  let areKnown = true
  for (const [digest, { shards }] of lists) {
    if (held.has(digest)) continue
    for (const { name } of shards) {
      if (come.has(name)) return true
      come.add(name)
      areKnown &&= left.has(name)
    }
  }
  if (areKnown) return false
  for (const [digest, { shards }] of lists) {
    if (held.has(digest) && shards.some(({ name }) => come.has(name))) return true
  }
  return false
}

/** What a signed state may still say wrongly: no host part, other counts than it claims. */
function contradictionIn(manifest: Manifest, lists: HeldLists): string | undefined {
  let hostParts = 0
  let services = 0
  for (const list of lists.values()) {
    hostParts += list.hostParts
    services += list.services
  }
  if (hostParts !== 1) return `the state has ${hostParts} host parts instead of one`
  if (services !== manifest.counts.services) {
    return `the state has ${services} virtual services, its manifest counts ${manifest.counts.services}`
  }
  return undefined
}

export type ManifestResult =
  | { readonly ok: true; readonly manifest: Manifest }
  | { readonly ok: false; readonly rejection: Rejection }

/** Signature, then format, then shape, then host, then the manifest's own digest. */
export async function verifyManifest(jws: string, context: Trust): Promise<ManifestResult> {
  if (!/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(jws)) {
    return refusal('unreadable', 'the first line is not a compact JWS')
  }
  const payload = verifyCompact(jws, context.controllerKeys)
  if (payload === undefined) {
    return refusal('bad-signature', 'no controller key of this identity has signed the manifest')
  }
  let value: unknown
  try {
    value = JSON.parse(payload)
  } catch {
    return refusal('unreadable', 'the manifest is not JSON')
  }
  const format =
    typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined
  if (format !== STATE_FORMAT) {
    return refusal(
      'unknown-format',
      `format ${JSON.stringify(format) ?? 'missing'}; this agent reads ${STATE_FORMAT}`,
    )
  }
  const parsed = manifestSchema.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    return refusal(
      'unreadable',
      `manifest: ${issue?.path.join('.') ?? '?'}: ${issue?.message ?? '?'}`,
    )
  }
  const manifest = parsed.data
  if (manifest.host.id !== context.hostId) {
    return refusal(
      'wrong-host',
      `the state is for host ${manifest.host.name} (${manifest.host.id})`,
      manifest,
    )
  }
  if (manifest.lists.length > MANIFEST_LISTS_MAX) {
    return refusal(
      'unreadable',
      `${manifest.lists.length} lists, at most ${MANIFEST_LISTS_MAX}`,
      manifest,
    )
  }
  if (manifestDigest(manifest.lists, sha256Hex) !== manifest.digest) {
    return refusal('bad-digest', 'the manifest digest does not match its lists', manifest)
  }
  return { ok: true, manifest }
}

function judgeAge(manifest: Manifest, current: Version | null): 'newer' | 'same' | Rejection {
  if (current === null) return 'newer'
  const order = compareVersions(manifest, current)
  if (order > 0) return 'newer'
  const inForce = `${current.epoch}.${current.generation}`
  if (order < 0) {
    return refuse(
      'older-generation',
      `${manifest.epoch}.${manifest.generation} is older than ${inForce} in force`,
      manifest,
    )
  }
  if (manifest.digest === current.digest) return 'same'
  return refuse('bad-digest', `${inForce} is in force already with another digest`, manifest)
}

function rejected(rejection: Rejection): Verdict {
  return { is: 'rejected', rejection }
}

function refusal(code: Rejection['code'], detail: string, manifest?: Manifest): ManifestResult {
  return { ok: false, rejection: refuse(code, detail, manifest) }
}

export function refuse(
  code: Rejection['code'],
  detail: string,
  about?: Pick<Manifest, 'epoch' | 'generation'>,
): Rejection {
  return {
    code,
    detail: detail.slice(0, 2_000),
    epoch: about?.epoch ?? null,
    generation: about?.generation ?? null,
  }
}
