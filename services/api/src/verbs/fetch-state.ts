/**
 * What a host is to look like, for its agent. A poll that finds nothing new, held open or not, is answered
 * from memory. Only the shards that the agent lacks are sent.
 */
import { hostKey } from '../compile/compile.ts'
import { ApiError } from '../errors.ts'
import type { Identity } from '../store/host-store.ts'
import { findShardList, loadShards, type PublishedState } from '../store/state-store.ts'
import type { Deps } from './deps.ts'
import { listsOf } from './shard-host.ts'

export type StatePoll = {
  /** ETag that the agent holds. */
  readonly held: string | undefined
  readonly waitMs: number
  readonly signal: () => AbortSignal
}

/** The published state, or undefined when the agent holds it already. */
export async function pollState(
  deps: Deps,
  identity: Identity,
  poll: StatePoll,
): Promise<PublishedState | undefined> {
  const key = hostKey(identity.role, identity.name)
  if (poll.held !== undefined && poll.waitMs > 0 && deps.live.etag(key) === poll.held) {
    await deps.live.waiters.wait(key, poll.waitMs, poll.signal())
  }
  const etag = deps.live.etag(key)
  if (etag !== undefined && etag === poll.held) return undefined
  const state = deps.live.snapshot.states.get(key)
  if (state === undefined || state.removedAt !== null || state.objectId !== identity.objectId) {
    throw new ApiError(
      'not-published',
      `nothing is published for ${identity.role} ${identity.name}`,
    )
  }
  return state
}

export type StateDocument = { readonly state: PublishedState; readonly bodies: readonly string[] }

/** The lines of the document; without the lists and shards that `have` says are there. */
export async function stateDocument(
  deps: Deps,
  state: PublishedState,
  have?: { readonly epoch: number; readonly generation: number },
): Promise<StateDocument> {
  const list = have === undefined ? undefined : await findShardList(deps.database.db, state, have)
  const heldLists = new Set(list === undefined ? [] : listsOf(list).map(({ digest }) => digest))
  const lists = listsOf(state.shards).filter(({ digest }) => !heldLists.has(digest))
  const held = new Set(list?.map((shard) => shard.digest))
  const wanted = state.shards.map((shard) => shard.digest).filter((digest) => !held.has(digest))
  const missing = wanted.filter((digest) => deps.live.shards.get(digest) === undefined)
  const loaded =
    missing.length === 0 ? new Map<string, string>() : await loadShards(deps.database.db, missing)
  const bodies = lists.map(({ body }) => body)
  for (const digest of wanted) {
    const body = loaded.get(digest) ?? deps.live.shards.get(digest)
    // Cleaned up under a process that has not heard of the newer state yet: it hears in a moment.
    if (body === undefined)
      throw new ApiError('busy', 'the state is being replaced; ask again', {
        headers: { 'retry-after': '1' },
      })
    bodies.push(body)
  }
  for (const [digest, body] of loaded) deps.live.shards.set(digest, body)
  return { state, bodies }
}
