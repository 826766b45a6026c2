/**
 * LiveFleet: what this process knows of the fleet: the intent at one revision and the published states.
 * Polls are answered from it without the database; publish and the listener move it forward. It also holds
 * the polls that wait for a change, and the newest shards.
 */
import { EMPTY_FLEET, withObject, withoutObject, type Fleet } from '../intent/fleet.ts'
import { FLEET_KEYS, type Kind } from '../intent/kinds.ts'
import { compileFleet, hostKey, type Compiled } from '../compile/compile.ts'
import { stateEtag } from '@lvs-fleet/contract'
import { loadController } from '../store/controller-store.ts'
import type { Database, Queryable } from '../store/database.ts'
import {
  latestRevision,
  loadObjects,
  loadObjectsSince,
  type StoredObject,
} from '../store/intent-store.ts'
import { loadStates, type PublishedState } from '../store/state-store.ts'
import { ByteCache } from './byte-cache.ts'
import { Waiters } from './waiters.ts'

export type Snapshot = {
  readonly revision: number
  /** Of what is published from now on; see `verbs/bump-epoch.ts`. */
  readonly epoch: number
  readonly fleet: Fleet
  /** Current versions by `kind/name`. */
  readonly objects: ReadonlyMap<string, StoredObject>
  /** By `role/name`; hosts that left the intent are in it, marked. */
  readonly states: ReadonlyMap<string, PublishedState>
}

export function objectKey(kind: Kind, name: string): string {
  return `${kind}/${name}`
}

export function makeSnapshot(
  at: Pick<Snapshot, 'revision' | 'epoch'>,
  objects: ReadonlyMap<string, StoredObject>,
  states: ReadonlyMap<string, PublishedState>,
): Snapshot {
  const lists: Record<string, { name: string }[]> = {}
  for (const { kind, spec } of objects.values()) (lists[FLEET_KEYS[kind]] ??= []).push(spec)
  for (const list of Object.values(lists)) list.sort((a, b) => (a.name < b.name ? -1 : 1))
  // The lists were filled by kind from parsed objects, which is what Fleet says of them.
  return { ...at, fleet: { ...EMPTY_FLEET, ...lists } as Fleet, objects, states }
}

const SHARD_CACHE_BYTES = 64 * 1024 * 1024
const QUEUE_MAX = 64

export class LiveFleet {
  readonly waiters = new Waiters()
  readonly shards = new ByteCache(SHARD_CACHE_BYTES)
  readonly #database: Database
  #snapshot: Snapshot
  #etags = new Map<string, string>()
  #compiled: { fleet: Fleet; compiled: Compiled } | undefined
  #stale = false
  #queue: Promise<unknown> = Promise.resolve()
  #queued = 0

  private constructor(database: Database, snapshot: Snapshot) {
    this.#database = database
    this.#snapshot = snapshot
    this.#indexEtags(snapshot.states.values())
  }

  static async load(database: Database): Promise<LiveFleet> {
    return new LiveFleet(database, await loadSnapshot(database.db))
  }

  get snapshot(): Snapshot {
    return this.#snapshot
  }

  /** ETag of what is published for a host; undefined when nothing is. */
  etag(key: string): string | undefined {
    return this.#etags.get(key)
  }

  /** What the current intent compiles to; kept until the intent changes. */
  compiled(snapshot: Snapshot = this.#snapshot): Compiled {
    if (this.#compiled?.fleet !== snapshot.fleet) {
      this.#compiled = { fleet: snapshot.fleet, compiled: compileFleet(snapshot.fleet) }
    }
    return this.#compiled.compiled
  }

  /** Runs writers and refreshes of this process one after the other; undefined when too many wait. */
  exclusive<T>(work: () => Promise<T>): Promise<T> | undefined {
    if (this.#queued >= QUEUE_MAX) return undefined
    this.#queued += 1
    const result = this.#queue.then(work)
    this.#queue = result.then(
      () => (this.#queued -= 1),
      () => (this.#queued -= 1),
    )
    return result
  }

  /** A commit whose answer was lost: the next reader asks the database. */
  markStale(): void {
    this.#stale = true
  }

  /** Whether a database at `revision` knows something that this process does not. */
  isBehind(revision: number): boolean {
    return this.#stale || revision !== this.#snapshot.revision
  }

  /** Within `exclusive`: the snapshot at the database's newest revision. */
  async refresh(db: Queryable = this.#database.db): Promise<Snapshot> {
    const revision = await latestRevision(db)
    const held = this.#snapshot
    if (revision === held.revision && !this.#stale) return held
    const next =
      revision > held.revision && !this.#stale
        ? await loadSince(db, held, revision)
        : await loadSnapshot(db)
    this.advance(next)
    this.#stale = false
    return next
  }

  /** Within `exclusive`: moves to a snapshot that is committed, and wakes the polls of hosts that changed. */
  advance(next: Snapshot, compiled?: Compiled): void {
    const before = this.#snapshot
    this.#snapshot = next
    if (compiled !== undefined) this.#compiled = { fleet: next.fleet, compiled }
    const changed = [...next.states.values()].filter(
      (state) => before.states.get(hostKey(state.role, state.name)) !== state,
    )
    for (const key of before.states.keys()) if (!next.states.has(key)) this.#etags.delete(key)
    this.#indexEtags(changed)
    for (const state of changed) this.waiters.wake(hostKey(state.role, state.name))
  }

  #indexEtags(states: Iterable<PublishedState>): void {
    for (const state of states) {
      const key = hostKey(state.role, state.name)
      if (state.removedAt === null) this.#etags.set(key, stateEtag(state))
      else this.#etags.delete(key)
    }
  }
}

async function loadSnapshot(db: Queryable): Promise<Snapshot> {
  // The revision first: what is written meanwhile is then read again by the next refresh, never missed.
  const revision = await latestRevision(db)
  const objects = await loadObjects(db)
  const states = await loadStates(db)
  return makeSnapshot(
    { revision, epoch: (await loadController(db))?.epoch ?? 1 },
    new Map(objects.map((object) => [objectKey(object.kind, object.name), object])),
    new Map(states.map((state) => [hostKey(state.role, state.name), state])),
  )
}

async function loadSince(db: Queryable, held: Snapshot, revision: number): Promise<Snapshot> {
  const { standing, ended } = await loadObjectsSince(db, held.revision)
  const objects = new Map(held.objects)
  let fleet = held.fleet
  for (const { kind, name } of ended) {
    objects.delete(objectKey(kind, name))
    fleet = withoutObject(fleet, kind, name)
  }
  for (const object of standing) {
    objects.set(objectKey(object.kind, object.name), object)
    fleet = withObject(fleet, object.kind, object.spec)
  }
  const states = new Map(held.states)
  for (const state of await loadStates(db, held.revision)) {
    states.set(hostKey(state.role, state.name), state)
  }
  const epoch = (await loadController(db))?.epoch ?? held.epoch
  return { revision, epoch, fleet, objects, states }
}
