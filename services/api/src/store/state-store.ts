/** Queries on published host states, their shards and the shard lists of recent generations. */
import { and, eq, gt, inArray, lt, min, or, sql } from 'drizzle-orm'
import { roleSchema, type Role } from '@lvs-fleet/contract'
import * as z from 'zod'
import type { Queryable } from './database.ts'
import { chunks } from './intent-store.ts'
import { hostStateHistory, hostStates, shards } from './schema.ts'

export const shardListSchema = z.array(z.object({ name: z.string(), digest: z.string() }))
export type ShardList = z.infer<typeof shardListSchema>

export type PublishedState = {
  readonly role: Role
  readonly name: string
  readonly site: string
  readonly objectId: string
  readonly epoch: number
  readonly generation: number
  readonly digest: string
  readonly shrinkAllowedGeneration: number
  readonly serviceCount: number
  readonly destinationCount: number
  readonly jws: string
  readonly shards: ShardList
  readonly revision: number
  readonly publishedAt: Date
  /** Not null = the host is no longer part of the intent. */
  readonly removedAt: Date | null
}

/** How many shard lists per host are kept for `?have=`. */
const HISTORY_MAX = 50

/** All, or only those that a revision after `since` wrote. */
export async function loadStates(db: Queryable, since = 0): Promise<PublishedState[]> {
  const rows = await db.select().from(hostStates).where(gt(hostStates.revision, since))
  return rows.map((row) => ({
    ...row,
    role: roleSchema.parse(row.role),
    shards: shardListSchema.parse(row.shards),
  }))
}

export async function writeStates(tx: Queryable, states: readonly PublishedState[]): Promise<void> {
  const newest = (column: string) => sql.raw(`excluded.${column}`)
  for (const part of chunks(states)) {
    await tx
      .insert(hostStates)
      .values(part.map((state) => ({ ...state, shards: state.shards })))
      .onConflictDoUpdate({
        target: [hostStates.role, hostStates.name],
        set: {
          site: newest('site'),
          objectId: newest('object_id'),
          epoch: newest('epoch'),
          generation: newest('generation'),
          digest: newest('digest'),
          shrinkAllowedGeneration: newest('shrink_allowed_generation'),
          serviceCount: newest('service_count'),
          destinationCount: newest('destination_count'),
          jws: newest('jws'),
          shards: newest('shards'),
          revision: newest('revision'),
          publishedAt: newest('published_at'),
          removedAt: newest('removed_at'),
        },
      })
    const standing = part.filter((state) => state.removedAt === null)
    if (standing.length === 0) continue
    await tx
      .insert(hostStateHistory)
      .values(
        standing.map(({ role, name, epoch, generation, shards: list, publishedAt }) => ({
          role,
          name,
          epoch,
          generation,
          shards: list,
          publishedAt,
        })),
      )
      .onConflictDoNothing()
  }
}

/** Content-addressed: one that is there already only gets younger, so that the clean-up leaves it. */
export async function writeShards(
  tx: Queryable,
  bodies: ReadonlyMap<string, string>,
  at: Date,
): Promise<void> {
  for (const part of chunks([...bodies], 100)) {
    await tx
      .insert(shards)
      .values(part.map(([digest, body]) => ({ digest, body, createdAt: at })))
      .onConflictDoUpdate({ target: shards.digest, set: { createdAt: at } })
  }
}

export async function loadShards(
  db: Queryable,
  digests: readonly string[],
): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const part of chunks(digests, 1_000)) {
    const rows = await db
      .select({ digest: shards.digest, body: shards.body })
      .from(shards)
      .where(inArray(shards.digest, part))
    for (const row of rows) found.set(row.digest, row.body)
  }
  return found
}

/** The shard list that a host was given as this generation, while it is remembered. */
export async function findShardList(
  db: Queryable,
  host: { readonly role: Role; readonly name: string },
  version: { readonly epoch: number; readonly generation: number },
): Promise<ShardList | undefined> {
  const rows = await db
    .select({ shards: hostStateHistory.shards })
    .from(hostStateHistory)
    .where(
      and(
        eq(hostStateHistory.role, host.role),
        eq(hostStateHistory.name, host.name),
        eq(hostStateHistory.epoch, version.epoch),
        eq(hostStateHistory.generation, version.generation),
      ),
    )
  return rows[0] === undefined ? undefined : shardListSchema.parse(rows[0].shards)
}

/** Hosts at most that are asked about at a time; a fleet that is behind as a whole is told by the rest. */
const BEHIND_MAX = 500

/** By `role/name`: when the oldest state that is remembered and not applied was published. */
export async function loadUnappliedSince(
  db: Queryable,
  behind: readonly {
    readonly role: Role
    readonly name: string
    readonly applied: { readonly epoch: number; readonly generation: number } | null
  }[],
): Promise<Map<string, Date>> {
  const asked = behind.slice(0, BEHIND_MAX)
  if (asked.length === 0) return new Map()
  const { role, name, epoch, generation, publishedAt } = hostStateHistory
  const rows = await db
    .select({ role, name, since: min(publishedAt) })
    .from(hostStateHistory)
    .where(
      or(
        ...asked.map((host) =>
          and(
            eq(role, host.role),
            eq(name, host.name),
            sql`(${epoch}, ${generation}) > (${host.applied?.epoch ?? 0}, ${host.applied?.generation ?? 0})`,
          ),
        ),
      ),
    )
    .groupBy(role, name)
  return new Map(
    rows.flatMap((row) => (row.since === null ? [] : [[`${row.role}/${row.name}`, row.since]])),
  )
}

/** Forgets old shard lists, and shards that no published state lists and that are older than `before`. */
export async function pruneStates(db: Queryable, before: Date): Promise<void> {
  await db.delete(hostStateHistory).where(
    sql`exists (select from ${hostStates} s where s.role = ${hostStateHistory.role} and s.name = ${hostStateHistory.name}
        and ${hostStateHistory.generation} <= s.generation - ${HISTORY_MAX})`,
  )
  await db.delete(shards).where(
    and(
      lt(shards.createdAt, before),
      sql`not exists (select from ${hostStates} s, jsonb_to_recordset(s.shards) as listed(digest text)
        where s.removed_at is null and listed.digest = ${shards.digest})`,
    ),
  )
}
