/**
 * Which hosts a new compile result touches, and how: the states to publish, with the ops each would carry
 * out and whether the removal limit holds it. Hosts whose digest stays are not touched.
 */
import {
  describeOp,
  diffChecks,
  diffHostStates,
  EMPTY_HOST_STATE,
  joinShards,
  shardSchema,
  type HostState,
  type NamedShard,
  type Role,
} from '@lvs-fleet/contract'
import { hostKey, type Compiled, type CompiledHost } from '../compile/compile.ts'
import { shrinkOf, type Shrink } from '../compile/shrink.ts'
import type { Queryable } from '../store/database.ts'
import { loadShards, type PublishedState } from '../store/state-store.ts'
import type { Snapshot } from './live-fleet.ts'
import { shardsOf } from './shard-host.ts'
import { isOldFormat } from './state-format.ts'

export type HostChange = {
  readonly key: string
  readonly role: Role
  readonly name: string
  /** undefined = the host leaves the intent. */
  readonly next:
    | {
        readonly host: CompiledHost
        readonly shards: readonly NamedShard[]
        readonly digest: string
      }
    | undefined
  readonly published: PublishedState | undefined
  readonly shrink: Shrink
  readonly ops: readonly string[]
  readonly opCount: number
}

/** Lines of ops in one answer; the count is always whole. */
const OPS_PER_HOST_MAX = 1_000
const OPS_TOTAL_MAX = 20_000

export async function changedHosts(
  db: Queryable,
  given: {
    readonly held: Snapshot
    readonly before: Compiled
    readonly after: Compiled
    readonly epoch: number
    readonly idOf: (host: CompiledHost) => string
  },
): Promise<HostChange[]> {
  const { held, epoch, idOf } = given
  const changes: HostChange[] = []
  let opsLeft = OPS_TOTAL_MAX
  const add = async (key: string, host: CompiledHost | undefined) => {
    const published = held.states.get(key)
    const next = host === undefined ? undefined : shardHost(host)
    if (published !== undefined && isPublished(published, next, { epoch, idOf })) return
    if (published === undefined && next === undefined) return
    const before = await stateBefore(db, published, given.before.hosts.get(key)?.state)
    const after = host?.state ?? EMPTY_HOST_STATE
    const ops = diffHostStates(after, before)
    const checks = diffChecks(after.checks, before.checks)
    const room = Math.min(OPS_PER_HOST_MAX, opsLeft)
    const shown = [...ops.slice(0, room).map(describeOp), ...checks].slice(0, room)
    opsLeft -= shown.length
    const { role, name } = host ?? published ?? { role: 'director', name: '' }
    changes.push({
      key,
      role,
      name,
      next,
      published,
      shrink: shrinkOf(before, after),
      ops: shown,
      opCount: ops.length + checks.length,
    })
  }
  for (const [key, host] of given.after.hosts) await add(key, host)
  for (const [key, state] of held.states) {
    if (state.removedAt === null && !given.after.hosts.has(key)) await add(key, undefined)
  }
  return changes
}

function shardHost(host: CompiledHost) {
  return { host, ...shardsOf(host.state) }
}

function isPublished(
  published: PublishedState,
  next: ReturnType<typeof shardHost> | undefined,
  wanted: { readonly epoch: number; readonly idOf: (host: CompiledHost) => string },
): boolean {
  if (next === undefined) return published.removedAt !== null
  return (
    published.removedAt === null &&
    !isOldFormat(published) &&
    published.digest === next.digest &&
    published.site === next.host.site &&
    published.objectId === wanted.idOf(next.host) &&
    published.epoch === wanted.epoch
  )
}

/** What the host has now. A state that an older version of the compiler published is read back from its shards. */
async function stateBefore(
  db: Queryable,
  published: PublishedState | undefined,
  compiledBefore: HostState | undefined,
): Promise<HostState> {
  if (published === undefined || published.removedAt !== null) return EMPTY_HOST_STATE
  if (compiledBefore !== undefined) {
    if (shardsOf(compiledBefore).digest === published.digest) return compiledBefore
  }
  return readState(db, published)
}

/** The published state of a host, from its stored shards. */
export async function readState(db: Queryable, published: PublishedState): Promise<HostState> {
  const bodies = await loadShards(
    db,
    published.shards.map((shard) => shard.digest),
  )
  const shards = published.shards.map(({ digest, name }) => {
    const body = bodies.get(digest)
    if (body === undefined)
      throw new Error(`shard ${name} of ${hostKey(published.role, published.name)} is missing`)
    return shardSchema.parse(JSON.parse(body))
  })
  return joinShards(shards)
}
