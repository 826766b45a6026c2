/**
 * The audit trail: append-only rows, each chained to the one before it by hash (`contract/src/audit.ts`). Who appends
 * holds a lock until its transaction ends, so the order of numbers is the order of commits.
 */
import { hash as digest } from 'node:crypto'
import { asc, desc, gt, isNull, lt, sql } from 'drizzle-orm'
import { AUDIT_START, auditText, type AuditRecord } from '@lvs-fleet/contract'
import * as z from 'zod'
import { auditEvent } from '../status/events/intent-events.ts'
import type { Queryable } from './database.ts'
import { appendEvents } from './event-store.ts'
import { auditCheckpoints, auditEvents } from './schema.ts'

/** One appender at a time, over all processes: "lvsu". */
const AUDIT_LOCK = 0x6c767375
const CHAIN_BATCH = 1_000

const detailSchema = z.record(z.string(), z.unknown())

export type AuditEvent = {
  readonly at: Date
  readonly actor: string
  readonly action: string
  readonly subject: string
  readonly revision: number | null
  readonly detail: Readonly<Record<string, unknown>>
}

export type SignedCheckpoint = {
  readonly number: number
  readonly hash: string
  readonly at: Date
  readonly jws: string
}

/** One line of the audit trail, and the event that it is. The last thing that a transaction does: see event-store.ts. */
export async function insertAuditEvent(tx: Queryable, event: AuditEvent): Promise<void> {
  await insertAuditLine(tx, event)
  await appendEvents(tx, [auditEvent(event)], event.at)
}

/**
 * The line alone, for what is told by events of its own, or by none. Within a transaction, and late in it: every other
 * appender waits until it ends.
 */
export async function insertAuditLine(tx: Queryable, event: AuditEvent): Promise<void> {
  await lockAudit(tx)
  const last = await lastRow(tx)
  const previous = last?.hash === null ? await chainUnchained(tx) : (last?.hash ?? AUDIT_START)
  const { rows } = await tx.execute<{ number: string }>(
    sql`select nextval(pg_get_serial_sequence('audit_events', 'number')) as number`,
  )
  const number = Number(rows[0]?.number)
  const hash = hashOf({ ...event, number }, previous)
  await tx
    .insert(auditEvents)
    .overridingSystemValue()
    .values({ ...event, number, hash })
}

/** Chains rows from before there was a chain; gives the hash of the last row. Within a transaction. */
export async function chainAuditTrail(tx: Queryable): Promise<void> {
  await lockAudit(tx)
  await chainUnchained(tx)
}

/** Newest first. */
export async function listAuditEvents(
  db: Queryable,
  page: { readonly limit: number; readonly before: number | undefined },
): Promise<AuditRecord[]> {
  const rows = await db
    .select()
    .from(auditEvents)
    .where(page.before === undefined ? undefined : lt(auditEvents.number, page.before))
    .orderBy(desc(auditEvents.number))
    .limit(page.limit)
  return rows.map(parseRow)
}

/** Oldest first, for export: what was committed after `after`. */
export async function listAuditEventsAfter(
  db: Queryable,
  page: { readonly limit: number; readonly after: number },
): Promise<AuditRecord[]> {
  const rows = await db
    .select()
    .from(auditEvents)
    .where(gt(auditEvents.number, page.after))
    .orderBy(asc(auditEvents.number))
    .limit(page.limit)
  return rows.map(parseRow)
}

/** The newest row and its hash; undefined when nothing was ever done. */
export async function auditHead(
  db: Queryable,
): Promise<{ readonly number: number; readonly hash: string } | undefined> {
  const last = await lastRow(db)
  return last === undefined || last.hash === null
    ? undefined
    : { number: last.number, hash: last.hash }
}

export async function insertCheckpoint(db: Queryable, checkpoint: SignedCheckpoint): Promise<void> {
  await db.insert(auditCheckpoints).values(checkpoint).onConflictDoNothing()
}

/** Newest first. */
export async function listCheckpoints(
  db: Queryable,
  page: { readonly limit: number; readonly before: number | undefined },
): Promise<SignedCheckpoint[]> {
  return db
    .select()
    .from(auditCheckpoints)
    .where(page.before === undefined ? undefined : lt(auditCheckpoints.number, page.before))
    .orderBy(desc(auditCheckpoints.number))
    .limit(page.limit)
}

async function lockAudit(tx: Queryable): Promise<void> {
  await tx.execute(sql`set local lock_timeout = '10s'`)
  await tx.execute(sql`select pg_advisory_xact_lock(${AUDIT_LOCK})`)
}

async function lastRow(
  db: Queryable,
): Promise<{ readonly number: number; readonly hash: string | null } | undefined> {
  const rows = await db
    .select({ number: auditEvents.number, hash: auditEvents.hash })
    .from(auditEvents)
    .orderBy(desc(auditEvents.number))
    .limit(1)
  return rows[0]
}

/** Under the lock. Gives the hash that the next row follows. */
async function chainUnchained(tx: Queryable): Promise<string> {
  let previous: string | undefined
  for (;;) {
    const rows = await tx
      .select()
      .from(auditEvents)
      .where(isNull(auditEvents.hash))
      .orderBy(asc(auditEvents.number))
      .limit(CHAIN_BATCH)
    const first = rows[0]
    if (first === undefined) return previous ?? (await lastRow(tx))?.hash ?? AUDIT_START
    previous ??= await hashBefore(tx, first.number)
    const hashes: string[] = []
    for (const row of rows) {
      previous = hashOf(parseEvent(row), previous)
      hashes.push(previous)
    }
    const numbers = rows.map(({ number }) => number)
    await tx.execute(sql`
      update audit_events set hash = chained.hash
      from unnest(${sql.param(numbers)}::bigint[], ${sql.param(hashes)}::text[]) as chained (number, hash)
      where audit_events.number = chained.number`)
  }
}

async function hashBefore(tx: Queryable, number: number): Promise<string> {
  const rows = await tx
    .select({ hash: auditEvents.hash })
    .from(auditEvents)
    .where(lt(auditEvents.number, number))
    .orderBy(desc(auditEvents.number))
    .limit(1)
  return rows[0]?.hash ?? AUDIT_START
}

function hashOf(event: AuditEvent & { readonly number: number }, previous: string): string {
  return digest('sha256', auditText({ ...event, at: event.at.toISOString() }, previous))
}

type Row = typeof auditEvents.$inferSelect

function parseEvent(row: Row): AuditEvent & { number: number } {
  return { ...row, detail: detailSchema.parse(row.detail) }
}

/** A row without a hash, which no process of this version leaves behind, fails its verification. */
function parseRow(row: Row): AuditRecord {
  return { ...parseEvent(row), at: row.at.toISOString(), hash: row.hash ?? '0'.repeat(64) }
}
