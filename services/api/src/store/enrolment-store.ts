/** Queries on what enrolment knows before there is an identity: challenges, rules, hosts that wait for a person. */
import { and, count, eq, gt, lte } from 'drizzle-orm'
import { ipSchema, publicKeySchema, roleSchema } from '@lvs-fleet/contract'
import * as z from 'zod'
import { enrolmentRuleSchema, type EnrolmentRule } from '../identity/match-rules.ts'
import type { Queryable } from './database.ts'
import { enrolmentChallenges, enrolmentRules, pendingEnrolments } from './schema.ts'

/** A host as it is to be let in: what it said of itself and what its way in grants. */
const candidateSchema = z.object({
  role: roleSchema,
  name: z.string(),
  site: z.string(),
  labels: z.record(z.string(), z.string()),
  addresses: z.array(ipSchema),
  publicKey: publicKeySchema,
  thumbprint: z.string(),
  machineId: z.string(),
  /** `join-token/<id>`, `enrolment-rule/<name>` or `declared-key`. */
  by: z.string(),
  /** What was proven, for the person who decides and for the audit trail. */
  evidence: z.record(z.string(), z.string()),
  replaces: z.boolean(),
})
export type Candidate = z.output<typeof candidateSchema>

export type PendingEnrolment = {
  readonly id: string
  readonly state: 'waiting' | 'refused'
  readonly candidate: Candidate
  readonly createdAt: Date
  readonly expiresAt: Date
}

export type StoredRule = EnrolmentRule & { readonly createdAt: Date; readonly updatedAt: Date }

export async function insertChallenge(db: Queryable, id: string, expiresAt: Date): Promise<void> {
  await db.insert(enrolmentChallenges).values({ id, expiresAt })
}

export async function countChallenges(db: Queryable): Promise<number> {
  const rows = await db.select({ count: count() }).from(enrolmentChallenges)
  return rows[0]?.count ?? 0
}

/** True for the first who asks while it is good, however many ask at once. */
export async function useChallenge(db: Queryable, id: string, now: Date): Promise<boolean> {
  const rows = await db
    .delete(enrolmentChallenges)
    .where(and(eq(enrolmentChallenges.id, id), gt(enrolmentChallenges.expiresAt, now)))
    .returning({ id: enrolmentChallenges.id })
  return rows.length === 1
}

export async function deleteExpiredEnrolments(db: Queryable, now: Date): Promise<void> {
  await db.delete(enrolmentChallenges).where(lte(enrolmentChallenges.expiresAt, now))
  await db.delete(pendingEnrolments).where(lte(pendingEnrolments.expiresAt, now))
}

export async function putRule(tx: Queryable, rule: EnrolmentRule, at: Date): Promise<void> {
  const { name, spec } = rule
  await tx
    .insert(enrolmentRules)
    .values({ name, spec, createdAt: at, updatedAt: at })
    .onConflictDoUpdate({ target: enrolmentRules.name, set: { spec, updatedAt: at } })
}

export async function deleteRule(tx: Queryable, name: string): Promise<boolean> {
  const rows = await tx
    .delete(enrolmentRules)
    .where(eq(enrolmentRules.name, name))
    .returning({ name: enrolmentRules.name })
  return rows.length === 1
}

export async function findRule(db: Queryable, name: string): Promise<StoredRule | undefined> {
  const rows = await db.select().from(enrolmentRules).where(eq(enrolmentRules.name, name))
  return rows[0] === undefined ? undefined : parseRule(rows[0])
}

/** By name. */
export async function listRules(db: Queryable): Promise<StoredRule[]> {
  return (await db.select().from(enrolmentRules).orderBy(enrolmentRules.name)).map(parseRule)
}

export async function insertPending(tx: Queryable, pending: PendingEnrolment): Promise<void> {
  const { thumbprint } = pending.candidate
  await tx.delete(pendingEnrolments).where(eq(pendingEnrolments.thumbprint, thumbprint))
  await tx.insert(pendingEnrolments).values({ ...pending, thumbprint })
}

export async function countPending(db: Queryable): Promise<number> {
  const rows = await db.select({ count: count() }).from(pendingEnrolments)
  return rows[0]?.count ?? 0
}

export async function findPendingByThumbprint(
  db: Queryable,
  thumbprint: string,
  now: Date,
): Promise<PendingEnrolment | undefined> {
  const rows = await db
    .select()
    .from(pendingEnrolments)
    .where(and(eq(pendingEnrolments.thumbprint, thumbprint), gt(pendingEnrolments.expiresAt, now)))
  return rows[0] === undefined ? undefined : parsePending(rows[0])
}

/** Locked until the transaction ends, so that of approval and refusal one comes first. */
export async function lockPending(
  tx: Queryable,
  id: string,
  now: Date,
): Promise<PendingEnrolment | undefined> {
  const rows = await tx
    .select()
    .from(pendingEnrolments)
    .where(and(eq(pendingEnrolments.id, id), gt(pendingEnrolments.expiresAt, now)))
    .for('update')
  return rows[0] === undefined ? undefined : parsePending(rows[0])
}

/** Oldest first. */
export async function listPending(db: Queryable, now: Date): Promise<PendingEnrolment[]> {
  const rows = await db
    .select()
    .from(pendingEnrolments)
    .where(gt(pendingEnrolments.expiresAt, now))
    .orderBy(pendingEnrolments.createdAt)
  return rows.map(parsePending)
}

export async function deletePending(tx: Queryable, id: string): Promise<void> {
  await tx.delete(pendingEnrolments).where(eq(pendingEnrolments.id, id))
}

export async function markRefused(tx: Queryable, id: string): Promise<void> {
  await tx.update(pendingEnrolments).set({ state: 'refused' }).where(eq(pendingEnrolments.id, id))
}

function parseRule(row: typeof enrolmentRules.$inferSelect): StoredRule {
  return { ...row, spec: enrolmentRuleSchema.parse(row.spec) }
}

function parsePending(row: typeof pendingEnrolments.$inferSelect): PendingEnrolment {
  return {
    id: row.id,
    state: z.enum(['waiting', 'refused']).parse(row.state),
    candidate: candidateSchema.parse(row.candidate),
    createdAt: row.createdAt,
    expiresAt: row.expiresAt,
  }
}
