/**
 * Is this document a state for this host, signed by our controller, not older than what is in force,
 * and complete? Takes lines as they arrive, so that nothing unsigned is ever held in memory: line 1 must
 * verify before line 2 is looked at, and every shard must be named by the signed manifest.
 * A refusal is a value with a code of REJECTION_CODES, because refusing is normal work.
 */
import type { KeyObject } from 'node:crypto'
import {
  compareVersions,
  manifestDigest,
  manifestSchema,
  STATE_FORMAT,
  type Manifest,
  type Rejection,
  type Shard,
} from '@lvs-fleet/contract'
import { sha256Hex } from '../disk/sealed.ts'
import { verifyCompact } from '../jws.ts'
import {
  MANIFEST_SHARDS_MAX,
  type Candidate,
  type FreshShard,
  type HeldShard,
  type Version,
} from './candidate.ts'
import { parseShard } from './read-shard.ts'

/** Whose signature counts, and for which host. */
export type Trust = { readonly controllerKeys: readonly KeyObject[]; readonly hostId: string }

export type VerifyContext = Trust & {
  /** What is in force; null = nothing yet, or an operator forces an older one. */
  readonly current: Version | null
  /** Shards in force, by name: most of a new state is in them. */
  readonly held: ReadonlyMap<string, HeldShard>
  /** A shard that is on disk; undefined when it is not. */
  findShard(digest: string): Promise<Shard | undefined>
}

export type Verdict =
  | { readonly is: 'good'; readonly candidate: Candidate }
  /** Same version and digest as what is in force. */
  | { readonly is: 'same'; readonly manifest: Manifest }
  /** Whole but for shards that neither the document nor we have: ask again for all of it. */
  | { readonly is: 'incomplete'; readonly rejection: Rejection }
  | { readonly is: 'rejected'; readonly rejection: Rejection }

export async function verifyDocument(
  lines: AsyncIterable<string> | Iterable<string>,
  context: VerifyContext,
): Promise<Verdict> {
  let manifest: Manifest | undefined
  let jws = ''
  const wanted = new Set<string>()
  const arrived = new Map<string, Shard>()
  const fresh: FreshShard[] = []
  for await (const line of lines) {
    if (manifest === undefined) {
      const first = await verifyManifest(line, context)
      if (!first.ok) return rejected(first.rejection)
      manifest = first.manifest
      jws = line
      const age = judgeAge(manifest, context.current)
      if (age !== 'newer') return age === 'same' ? { is: 'same', manifest } : rejected(age)
      for (const shard of manifest.shards) wanted.add(shard.digest)
      continue
    }
    if (line === '') continue
    const digest = sha256Hex(line)
    if (!wanted.has(digest)) {
      return rejected(
        refuse('bad-digest', 'a shard in the document is not in its manifest', manifest),
      )
    }
    const shard = parseShard(line)
    if ('problem' in shard) return rejected(refuse('unreadable', shard.problem, manifest))
    if (!arrived.has(digest)) fresh.push({ digest, body: line })
    arrived.set(digest, shard.shard)
  }
  if (manifest === undefined) return rejected(refuse('unreadable', 'the document is empty'))
  return assemble({ manifest, jws, arrived, fresh }, context)
}

async function assemble(
  parts: { manifest: Manifest; jws: string; arrived: Map<string, Shard>; fresh: FreshShard[] },
  context: VerifyContext,
): Promise<Verdict> {
  const { manifest, jws, arrived, fresh } = parts
  const shards = new Map<string, HeldShard>()
  let missing = 0
  for (const { name, digest } of manifest.shards) {
    const held = context.held.get(name)
    if (held?.digest === digest) {
      shards.set(name, held)
      continue
    }
    const shard = arrived.get(digest) ?? (await context.findShard(digest))
    if (shard === undefined) missing++
    else shards.set(name, { digest, shard })
  }
  if (missing > 0) {
    const detail = `${missing} of ${manifest.shards.length} shards are neither in the document nor on disk`
    return { is: 'incomplete', rejection: refuse('bad-digest', detail, manifest) }
  }
  const problem = contradictionIn(manifest, shards)
  if (problem !== undefined) return rejected(refuse('unreadable', problem, manifest))
  const { epoch, generation, digest } = manifest
  return {
    is: 'good',
    candidate: { version: { epoch, generation, digest }, manifest, jws, shards, fresh },
  }
}

/** What a signed state may still say wrongly: no host part, other counts than it claims. */
function contradictionIn(
  manifest: Manifest,
  shards: ReadonlyMap<string, HeldShard>,
): string | undefined {
  let hostParts = 0
  let services = 0
  for (const { shard } of shards.values()) {
    if (shard.kind === 'host') hostParts++
    else services += shard.services.length
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
  if (manifest.shards.length > MANIFEST_SHARDS_MAX) {
    return refusal(
      'unreadable',
      `${manifest.shards.length} shards, at most ${MANIFEST_SHARDS_MAX}`,
      manifest,
    )
  }
  if (new Set(manifest.shards.map((shard) => shard.name)).size !== manifest.shards.length) {
    return refusal('unreadable', 'two shards have one name', manifest)
  }
  if (manifestDigest(manifest.shards, sha256Hex) !== manifest.digest) {
    return refusal('bad-digest', 'the manifest digest does not match its shards', manifest)
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
