/**
 * Last-known-good states on disk: two slots, each a signed manifest with its lists, and its own copy of every
 * shard that they name, written alternately. A slot is changed only after all its shards are on disk, and never the slot
 * that is in force, so after a crash or on a rotten disk there is still one whole state.
 */
import { canonicalJson, compareVersions, type Manifest, type Shard } from '@lvs-fleet/contract'
import { saveAtomically, seal, sha256Hex, unseal, PRIVATE_MODE } from '../disk/sealed.ts'
import type { Disk } from '../ports.ts'
import type { Candidate, HeldShard, Version } from './candidate.ts'
import { parseShard } from './read-shard.ts'
import { verifyDocument, verifyManifest, type Trust } from './verify.ts'

export const SLOTS = ['slot-a', 'slot-b'] as const
export type Slot = (typeof SLOTS)[number]

/** Each slot's own copies of its shards, by digest. */
export const FOLDERS: Readonly<Record<Slot, string>> = {
  'slot-a': 'shards-a',
  'slot-b': 'shards-b',
}

type SlotManifest = {
  readonly slot: Slot
  readonly manifest: Manifest
  /** The JWS and the lists. */
  readonly lines: readonly string[]
}

export type LoadedState = { readonly candidate: Candidate; readonly slot: Slot }

export type StateStore = {
  /** The newest state that verifies completely and that `usable` takes; undefined when there is none. */
  load(usable: (version: Version) => boolean): Promise<LoadedState | undefined>
  /** What `load` found broken; each is worth an operator's look. */
  readonly alarms: readonly string[]
  /** Puts a signed state on disk, over the slot that is not in force. */
  save(candidate: Candidate & { readonly jws: string; readonly manifest: Manifest }): Promise<void>
  /** Copies up to `max` shards in force into the other slot's folder, ahead of its next turn. */
  mirror(shards: Iterable<HeldShard>, max: number): Promise<void>
  /** A shard from disk; undefined when absent or rotten. */
  findShard(digest: string): Promise<Shard | undefined>
}

export function createStateStore(disk: Disk, trust: Trust): StateStore {
  /** Digests that each folder holds. */
  const present: Record<Slot, Set<string>> = { 'slot-a': new Set(), 'slot-b': new Set() }
  const alarms: string[] = []
  /** The slot whose state is in force: never overwritten. */
  let inForce: Slot | undefined

  const findShard = async (digest: string): Promise<Shard | undefined> => {
    const body = await findBody(disk, digest)
    const parsed = body === undefined ? undefined : parseShard(body)
    return parsed !== undefined && 'shard' in parsed ? parsed.shard : undefined
  }

  /** Signature and manifest only: shards are read for the slot that is taken. */
  const readSlot = async (slot: Slot): Promise<SlotManifest | undefined> => {
    const sealed = unseal(await disk.read(slot))
    if (sealed.is === 'missing') return undefined
    if (sealed.is === 'corrupt') {
      alarms.push(`${slot} is corrupt`)
      return undefined
    }
    const lines = sealed.text.split('\n')
    const result = await verifyManifest(lines[0] ?? '', trust)
    if (result.ok) return { slot, lines, manifest: result.manifest }
    alarms.push(`${slot} does not verify: ${result.rejection.detail}`)
    return undefined
  }

  return {
    alarms,
    findShard,
    async load(usable) {
      alarms.length = 0
      inForce = undefined
      const slots: SlotManifest[] = []
      for (const slot of SLOTS) {
        present[slot] = new Set(await disk.list(FOLDERS[slot]))
        const found = await readSlot(slot)
        if (found !== undefined) slots.push(found)
      }
      slots.sort((a, b) => compareVersions(b.manifest, a.manifest))
      for (const { slot, lines, manifest } of slots) {
        if (!usable(manifest)) continue
        const nothing = { current: null, held: new Map(), heldLists: new Map() }
        const verdict = await verifyDocument(lines, { ...trust, ...nothing, findShard })
        if (verdict.is === 'good') {
          inForce = slot
          return { candidate: verdict.candidate, slot }
        }
        const why = verdict.is === 'same' ? 'out of turn' : verdict.rejection.detail
        alarms.push(`${slot} is not complete: ${why}`)
      }
      return undefined
    },
    async save(candidate) {
      const slot: Slot = inForce === 'slot-a' ? 'slot-b' : 'slot-a'
      const fresh = new Map(candidate.fresh.map(({ digest, body }) => [digest, body]))
      await addShards(disk, slot, present[slot], candidate.shards.values(), fresh)
      const lists = [...candidate.lists.values()].map(({ body }) => body)
      await saveAtomically(disk, slot, seal([candidate.jws, ...lists].join('\n')))
      inForce = slot
      await sweepShards(disk, slot, present[slot], candidate)
    },
    async mirror(shards, max) {
      const other: Slot = inForce === 'slot-a' ? 'slot-b' : 'slot-a'
      const missing: HeldShard[] = []
      for (const shard of shards) {
        if (missing.length >= max) break
        if (!present[other].has(shard.digest)) missing.push(shard)
      }
      if (inForce !== undefined) await addShards(disk, other, present[other], missing, new Map())
    },
  }
}

/** Brings shards into a slot's own folder; those that are there cost nothing. */
async function addShards(
  disk: Disk,
  slot: Slot,
  present: Set<string>,
  shards: Iterable<HeldShard>,
  fresh: ReadonlyMap<string, string>,
): Promise<void> {
  const missing = absentFrom(present, shards)
  for (const { digest, shard } of missing) {
    if (present.has(digest)) continue
    const body = fresh.get(digest) ?? (await findBody(disk, digest)) ?? bodyOf(shard, digest)
    const path = `${FOLDERS[slot]}/${digest}`
    await disk.write(`${path}.tmp`, body, PRIVATE_MODE)
    await disk.rename(`${path}.tmp`, path)
    present.add(digest)
  }
  if (missing.length > 0) await disk.syncDirectory(FOLDERS[slot])
}

function absentFrom(present: ReadonlySet<string>, shards: Iterable<HeldShard>): HeldShard[] {
  const absent: HeldShard[] = []
  for (const shard of shards) if (!present.has(shard.digest)) absent.push(shard)
  return absent
}

/** The text of a shard from either copy on disk; undefined when both are absent or rotten. */
async function findBody(disk: Disk, digest: string): Promise<string | undefined> {
  for (const slot of SLOTS) {
    const body = await disk.read(`${FOLDERS[slot]}/${digest}`)
    if (body !== undefined && sha256Hex(body) === digest) return body
  }
  return undefined
}

/** Written anew from memory; a shard of a newer peer, with fields unknown here, cannot be. */
function bodyOf(shard: Shard, digest: string): string {
  const body = canonicalJson(shard)
  if (sha256Hex(body) === digest) return body
  throw new Error(`shard ${digest} is lost on disk: the whole state must be fetched again`)
}

/** Share of files that a slot's folder may hold beyond what the slot names, before somebody looks which. */
const LEFTOVERS = 1 / 8

/** Removes what the slot names no more, and what crashes left behind; of a large state not at each change. */
async function sweepShards(
  disk: Disk,
  slot: Slot,
  present: Set<string>,
  candidate: Candidate,
): Promise<void> {
  if (present.size <= candidate.shards.size * (1 + LEFTOVERS)) return
  const named = new Set([...candidate.shards.values()].map((shard) => shard.digest))
  for (const digest of present) {
    if (named.has(digest)) continue
    await disk.remove(`${FOLDERS[slot]}/${digest}`)
    present.delete(digest)
  }
}
