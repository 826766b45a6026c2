/**
 * Last-known-good states on disk: two slots, each a signed manifest with its lists and its own copy of every shard that
 * they name; and beside each slot a file of the changes that came after it, where a state costs one write. When that file
 * has grown or nothing has changed for a while, the state in force goes into the other slot, whose shards are all on disk
 * before it is changed. Never the slot that is in force: after a crash or on a rotten disk there is still one whole state.
 */
import { canonicalJson, compareVersions, type Manifest, type Shard } from '@lvs-fleet/contract'
import { saveAtomically, seal, sha256Hex, unseal, PRIVATE_MODE } from '../disk/sealed.ts'
import type { Disk } from '../ports.ts'
import {
  differingShards,
  shardsOf,
  type Candidate,
  type FreshShard,
  type HeldShard,
  type Version,
} from './candidate.ts'
import { formatChange, parseChanges } from './changes.ts'
import { parseShard } from './read-shard.ts'
import { verifyDocument, verifyManifest, type Trust } from './verify.ts'

export const SLOTS = ['slot-a', 'slot-b'] as const
export type Slot = (typeof SLOTS)[number]

/** Each slot's own copies of its shards, by digest. */
export const FOLDERS: Readonly<Record<Slot, string>> = {
  'slot-a': 'shards-a',
  'slot-b': 'shards-b',
}

/** What came after the state in a slot. */
export const CHANGES: Readonly<Record<Slot, string>> = {
  'slot-a': 'changes-a',
  'slot-b': 'changes-b',
}
/** Of one file of changes. A start reads and verifies them all. */
export const CHANGES_MAX = 64
const CHANGES_BYTES_MAX = 1024 * 1024
/** Each is an open file. */
const SHARDS_AT_ONCE = 32
/** Calls of `mirror` without a change between them: then the other slot gets the state in force. */
const QUIET_MIRRORS = 3

/** A state on disk whose manifest verifies; of its lists and shards nothing is known yet. */
type Stored = {
  readonly slot: Slot
  readonly jws: string
  readonly manifest: Manifest
  /** Lists and shards that stand in the slot and its file of changes, by digest. */
  readonly bodies: ReadonlyMap<string, string>
  readonly changes: Pick<Holding, 'changes' | 'bytes' | 'isClosed'>
}

/** What the disk holds of the slot in force. */
type Holding = {
  readonly slot: Slot
  /** The state in force. */
  candidate: SignedCandidate
  /** Of lists and shards in the slot's file and in its changes. */
  readonly digests: Set<string>
  changes: number
  bytes: number
  /** Its last record is not whole, or a shard is not in the slot's own folder: nothing may come behind it. */
  isClosed: boolean
  /** Calls of `mirror` since the last change. */
  mirrors: number
}

export type LoadedState = { readonly candidate: Candidate; readonly slot: Slot }

export type SignedCandidate = Candidate & { readonly jws: string; readonly manifest: Manifest }

export type StateStore = {
  /** The newest state that verifies completely and that `usable` takes; undefined when there is none. */
  load(usable: (version: Version) => boolean): Promise<LoadedState | undefined>
  /** What `load` found broken; each is worth an operator's look. */
  readonly alarms: readonly string[]
  /** Puts a signed state on disk, behind those before it or over the slot that is not in force. */
  save(candidate: SignedCandidate): Promise<void>
  /** For now and then: copies up to `max` shards into the other slot's folder; once that has all, and it is quiet, its turn comes. */
  mirror(max: number): Promise<void>
  /** A shard from disk; undefined when absent or rotten. */
  findShard(digest: string): Promise<Shard | undefined>
}

export function createStateStore(disk: Disk, trust: Trust): StateStore {
  /** Digests that each folder holds. */
  const present: Record<Slot, Set<string>> = { 'slot-a': new Set(), 'slot-b': new Set() }
  const alarms: string[] = []
  /** Slots with a state. */
  const filled = new Set<Slot>()
  let holding: Holding | undefined

  const findShard = async (digest: string): Promise<Shard | undefined> => {
    const inFolder = await findBody(disk, digest)
    const body = inFolder ?? (await bodiesOfChanges(disk)).get(digest)
    return body === undefined ? undefined : shardOf(body)
  }

  /** Signatures and manifests only: shards are read for the state that is taken. */
  const readSlot = async (slot: Slot): Promise<Stored[]> => {
    const bodies = new Map<string, string>()
    const text = (await disk.read(CHANGES[slot])) ?? ''
    const { records, isBroken, isRotten } = parseChanges(text)
    const bytes = Buffer.byteLength(text)
    const changes = { changes: records.length, bytes, isClosed: isBroken }
    const found: Stored[] = []
    const take = async (lines: readonly string[], where: string): Promise<boolean> => {
      const [jws = '', ...rest] = lines
      for (const line of rest) bodies.set(sha256Hex(line), line)
      const result = await verifyManifest(jws, trust)
      if (result.ok) found.push({ slot, jws, manifest: result.manifest, bodies, changes })
      else alarms.push(`${where} does not verify: ${result.rejection.detail}`)
      return result.ok
    }
    const sealed = unseal(await disk.read(slot))
    if (sealed.is === 'corrupt') alarms.push(`${slot} is corrupt`)
    if (sealed.is === 'whole' && (await take(sealed.text.split('\n'), slot))) filled.add(slot)
    if (isRotten) alarms.push(`${CHANGES[slot]} is corrupt`)
    for (const record of records) await take(record, CHANGES[slot])
    return found
  }

  const complete = async (stored: Stored): Promise<SignedCandidate | undefined> => {
    const { slot, jws, manifest, bodies } = stored
    const lists = manifest.lists.flatMap(({ digest }) => bodies.get(digest) ?? [])
    const verdict = await verifyDocument([jws, ...lists], {
      ...trust,
      current: null,
      held: new Map(),
      findShard: async (digest) => {
        const body = bodies.get(digest)
        return body === undefined ? findShard(digest) : shardOf(body)
      },
    })
    if (verdict.is === 'good') return { ...verdict.candidate, jws, manifest }
    const why = verdict.is === 'same' ? 'out of turn' : verdict.rejection.detail
    alarms.push(`generation ${manifest.generation} in ${slot} is not complete: ${why}`)
    return undefined
  }

  const append = async (into: Holding, candidate: SignedCandidate): Promise<boolean> => {
    if (into.isClosed || into.changes >= CHANGES_MAX || filled.size < SLOTS.length) return false
    const lists = [...candidate.lists].filter(([digest]) => !into.digests.has(digest))
    // All others are in the slot's folder, or were written behind it.
    const { come } = differingShards(into.candidate.lists, candidate.lists)
    const shards = absentFrom(present[into.slot], come).filter(
      ({ digest }) => !into.digests.has(digest),
    )
    const bodyOf = createBodySource(disk, candidate.fresh)
    const lines = [candidate.jws, ...lists.map(([, { body }]) => body)]
    for (const shard of shards) lines.push(await bodyOf(shard))
    const text = formatChange(lines)
    const bytes = Buffer.byteLength(text)
    if (into.bytes + bytes > CHANGES_BYTES_MAX) return false
    // Until it is known to be whole.
    into.isClosed = true
    await disk.append(CHANGES[into.slot], text, PRIVATE_MODE)
    if (into.changes === 0) await disk.syncDirectory('.')
    into.isClosed = false
    into.candidate = withoutBodies(candidate)
    into.mirrors = 0
    into.changes++
    into.bytes += bytes
    for (const [digest] of lists) into.digests.add(digest)
    for (const { digest } of shards) into.digests.add(digest)
    return true
  }

  const replaceSlot = async (candidate: SignedCandidate): Promise<void> => {
    const slot = otherOf(holding?.slot)
    await addShards(disk, slot, present[slot], shardsOf(candidate.lists), candidate.fresh)
    // They belong to what stood here before.
    await disk.remove(CHANGES[slot])
    const lists = [...candidate.lists.values()].map(({ body }) => body)
    await saveAtomically(disk, slot, seal([candidate.jws, ...lists].join('\n')))
    filled.add(slot)
    const digests = new Set(candidate.lists.keys())
    const kept = withoutBodies(candidate)
    holding = { slot, candidate: kept, digests, changes: 0, bytes: 0, isClosed: false, mirrors: 0 }
    await sweepShards(disk, slot, present[slot], candidate)
  }

  return {
    alarms,
    findShard,
    async load(usable) {
      alarms.length = 0
      holding = undefined
      filled.clear()
      const states: Stored[] = []
      for (const slot of SLOTS) {
        present[slot] = new Set(await disk.list(FOLDERS[slot]))
        states.push(...(await readSlot(slot)))
      }
      states.sort((a, b) => compareVersions(b.manifest, a.manifest))
      for (const stored of states) {
        if (!usable(stored.manifest)) continue
        const candidate = await complete(stored)
        if (candidate === undefined) continue
        const { slot, bodies, changes } = stored
        const digests = new Set(bodies.keys())
        const isClosed =
          changes.isClosed ||
          absentFrom(present[slot], shardsOf(candidate.lists)).some(
            ({ digest }) => !digests.has(digest),
          )
        holding = { slot, candidate, digests, ...changes, isClosed, mirrors: 0 }
        return { candidate, slot }
      }
      return undefined
    },
    async save(candidate) {
      if (holding === undefined || !(await append(holding, candidate))) await replaceSlot(candidate)
    },
    async mirror(max) {
      if (holding === undefined) return
      const { slot, candidate, digests, changes } = holding
      const other = otherOf(slot)
      holding.mirrors++
      const isQuiet = holding.mirrors >= QUIET_MIRRORS
      const missing: HeldShard[] = []
      for (const shard of shardsOf(candidate.lists)) {
        if (missing.length >= max) break
        if (present[other].has(shard.digest)) continue
        // What changed a moment ago may soon change again.
        if (isQuiet || !digests.has(shard.digest)) missing.push(shard)
      }
      if (missing.length > 0) return addShards(disk, other, present[other], missing, [])
      if (isQuiet && changes > 0) await replaceSlot(candidate)
    },
  }
}

function otherOf(slot: Slot | undefined): Slot {
  return slot === 'slot-a' ? 'slot-b' : 'slot-a'
}

/** To be kept for long: the text of a large state is larger than what it says. */
function withoutBodies(candidate: SignedCandidate): SignedCandidate {
  return { ...candidate, fresh: [] }
}

function shardOf(body: string): Shard | undefined {
  const parsed = parseShard(body)
  return 'shard' in parsed ? parsed.shard : undefined
}

/** Lists and shards in both files of changes, by digest. */
async function bodiesOfChanges(disk: Disk): Promise<Map<string, string>> {
  const bodies = new Map<string, string>()
  for (const slot of SLOTS) {
    const text = await disk.read(CHANGES[slot])
    for (const [, ...lines] of parseChanges(text ?? '').records) {
      for (const line of lines) bodies.set(sha256Hex(line), line)
    }
  }
  return bodies
}

/** Brings shards into a slot's own folder; those that are there cost nothing. */
async function addShards(
  disk: Disk,
  slot: Slot,
  present: Set<string>,
  shards: Iterable<HeldShard>,
  fresh: readonly FreshShard[],
): Promise<void> {
  const missing = absentFrom(present, shards)
  const bodyOf = createBodySource(disk, fresh)
  const keep = async (held: HeldShard): Promise<void> => {
    const { digest } = held
    const path = `${FOLDERS[slot]}/${digest}`
    await disk.write(`${path}.tmp`, await bodyOf(held), PRIVATE_MODE)
    await disk.rename(`${path}.tmp`, path)
    present.add(digest)
  }
  // A file system brings many files to the device at little more than the cost of one.
  for (let at = 0; at < missing.length; at += SHARDS_AT_ONCE) {
    await allDone(missing.slice(at, at + SHARDS_AT_ONCE).map(keep))
  }
  if (missing.length > 0) await disk.syncDirectory(FOLDERS[slot])
}

/** Fails only when none of them writes any more: who tries again meets nobody. */
async function allDone(work: readonly Promise<void>[]): Promise<void> {
  for (const done of await Promise.allSettled(work)) {
    if (done.status === 'rejected') throw done.reason
  }
}

/** Each digest once. */
function absentFrom(present: ReadonlySet<string>, shards: Iterable<HeldShard>): HeldShard[] {
  const absent = new Map<string, HeldShard>()
  for (const shard of shards) if (!present.has(shard.digest)) absent.set(shard.digest, shard)
  return [...absent.values()]
}

/** The text of a shard from either copy on disk; undefined when both are absent or rotten. */
async function findBody(disk: Disk, digest: string): Promise<string | undefined> {
  for (const slot of SLOTS) {
    const body = await disk.read(`${FOLDERS[slot]}/${digest}`)
    if (body !== undefined && sha256Hex(body) === digest) return body
  }
  return undefined
}

/**
 * The text of a shard that is held: as it came, from a folder, or written anew from memory. A shard of a newer peer, with
 * fields unknown here, cannot be written; it stands in a file of changes, which is large and rarely needed.
 */
function createBodySource(
  disk: Disk,
  fresh: readonly FreshShard[],
): (held: HeldShard) => Promise<string> {
  const asTheyCame = new Map(fresh.map(({ digest, body }) => [digest, body]))
  let inChanges: Promise<ReadonlyMap<string, string>> | undefined
  return async ({ digest, shard }) => {
    const near = asTheyCame.get(digest) ?? (await findBody(disk, digest))
    if (near !== undefined) return near
    const written = canonicalJson(shard)
    if (sha256Hex(written) === digest) return written
    inChanges ??= bodiesOfChanges(disk)
    const body = (await inChanges).get(digest)
    if (body !== undefined) return body
    throw new Error(`shard ${digest} is lost on disk: the whole state must be fetched again`)
  }
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
  const named = new Set(shardsOf(candidate.lists).map(({ digest }) => digest))
  if (present.size <= named.size * (1 + LEFTOVERS)) return
  for (const digest of present) {
    if (named.has(digest)) continue
    await disk.remove(`${FOLDERS[slot]}/${digest}`)
    present.delete(digest)
  }
}
