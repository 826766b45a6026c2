/** Queries on join tokens and API keys. Only hashes of secrets are stored. */
import { and, desc, eq, gt, isNull, lt, or, sql } from 'drizzle-orm'
import { roleSchema, type Role } from '@lvs-fleet/contract'
import * as z from 'zod'
import { OPERATOR_ROLES, type OperatorRole } from '../access/grant.ts'
import type { Queryable } from './database.ts'
import { apiKeys, joinTokens } from './schema.ts'

export type JoinToken = {
  readonly id: string
  readonly sha256: string
  readonly role: Role
  readonly site: string
  readonly name: string | null
  /** For the director or real server, where enrolment creates it. */
  readonly labels: Readonly<Record<string, string>>
  readonly approval: 'auto' | 'manual'
  /** May take the name of a host that stands. */
  readonly replaces: boolean
  readonly maxUses: number
  readonly uses: number
  readonly createdBy: string
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly revokedAt: Date | null
}

export type ApiKey = {
  readonly id: string
  readonly name: string
  readonly sha256: string
  readonly role: OperatorRole
  readonly sites: readonly string[] | null
  readonly labels: Readonly<Record<string, string>> | null
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
  readonly lastUsedAt: Date | null
}

export async function insertJoinToken(tx: Queryable, token: JoinToken): Promise<void> {
  await tx.insert(joinTokens).values(token)
}

export async function findJoinToken(db: Queryable, id: string): Promise<JoinToken | undefined> {
  const rows = await db.select().from(joinTokens).where(eq(joinTokens.id, id))
  return rows[0] === undefined ? undefined : parseJoinToken(rows[0])
}

/** Spends one use; false when none is left, however many ask at once. */
export async function spendJoinToken(tx: Queryable, id: string, now: Date): Promise<boolean> {
  const rows = await tx
    .update(joinTokens)
    .set({ uses: sql`${joinTokens.uses} + 1` })
    .where(
      and(
        eq(joinTokens.id, id),
        lt(joinTokens.uses, joinTokens.maxUses),
        gt(joinTokens.expiresAt, now),
        isNull(joinTokens.revokedAt),
      ),
    )
    .returning({ id: joinTokens.id })
  return rows.length === 1
}

export async function listJoinTokens(db: Queryable, limit: number): Promise<JoinToken[]> {
  const rows = await db.select().from(joinTokens).orderBy(desc(joinTokens.createdAt)).limit(limit)
  return rows.map(parseJoinToken)
}

export async function revokeJoinToken(tx: Queryable, id: string, at: Date): Promise<boolean> {
  const rows = await tx
    .update(joinTokens)
    .set({ revokedAt: sql`coalesce(${joinTokens.revokedAt}, ${at})` })
    .where(eq(joinTokens.id, id))
    .returning({ id: joinTokens.id })
  return rows.length === 1
}

/** Tokens stay listed for a while after they ended, so that an operator sees what became of them. */
export async function deleteOldJoinTokens(db: Queryable, before: Date): Promise<void> {
  await db.delete(joinTokens).where(lt(joinTokens.expiresAt, before))
}

export async function insertApiKey(tx: Queryable, key: ApiKey): Promise<void> {
  await tx.insert(apiKeys).values(key)
}

export async function findApiKey(db: Queryable, id: string): Promise<ApiKey | undefined> {
  const rows = await db.select().from(apiKeys).where(eq(apiKeys.id, id))
  return rows[0] === undefined ? undefined : parseApiKey(rows[0])
}

export async function listApiKeys(db: Queryable, limit: number): Promise<ApiKey[]> {
  const rows = await db.select().from(apiKeys).orderBy(desc(apiKeys.createdAt)).limit(limit)
  return rows.map(parseApiKey)
}

export async function revokeApiKey(tx: Queryable, id: string, at: Date): Promise<boolean> {
  const rows = await tx
    .update(apiKeys)
    .set({ revokedAt: sql`coalesce(${apiKeys.revokedAt}, ${at})` })
    .where(eq(apiKeys.id, id))
    .returning({ id: apiKeys.id })
  return rows.length === 1
}

/** It ends at `at`, unless it ends before. */
export async function expireApiKey(tx: Queryable, id: string, at: Date): Promise<void> {
  await tx
    .update(apiKeys)
    .set({ expiresAt: at })
    .where(and(eq(apiKeys.id, id), or(isNull(apiKeys.expiresAt), gt(apiKeys.expiresAt, at))))
}

/** At most one write a minute and key. */
export async function touchApiKey(db: Queryable, id: string, at: Date): Promise<void> {
  const minuteAgo = new Date(at.getTime() - 60_000)
  await db
    .update(apiKeys)
    .set({ lastUsedAt: at })
    .where(
      and(eq(apiKeys.id, id), or(isNull(apiKeys.lastUsedAt), lt(apiKeys.lastUsedAt, minuteAgo))),
    )
}

/** Keys that could still let an administrator in: the last one must not be revoked. */
export async function countUsableAdminKeys(db: Queryable, now: Date): Promise<number> {
  return db.$count(
    apiKeys,
    and(
      eq(apiKeys.role, 'admin'),
      isNull(apiKeys.revokedAt),
      or(isNull(apiKeys.expiresAt), gt(apiKeys.expiresAt, now)),
    ),
  )
}

function parseJoinToken(row: typeof joinTokens.$inferSelect): JoinToken {
  return {
    ...row,
    role: roleSchema.parse(row.role),
    labels: z.record(z.string(), z.string()).parse(row.labels),
    approval: z.enum(['auto', 'manual']).parse(row.approval),
  }
}

const storedScope = z.object({
  role: z.enum(OPERATOR_ROLES),
  sites: z.array(z.string()).nullable(),
  labels: z.record(z.string(), z.string()).nullable(),
})

function parseApiKey(row: typeof apiKeys.$inferSelect): ApiKey {
  return { ...row, ...storedScope.parse(row) }
}
