/** Queries on the controller row, the locks that order writers, notifications and the audit trail. */
import { desc, eq, lt, sql } from 'drizzle-orm'
import { publicKeySchema, type PublicKey } from '@lvs-fleet/contract'
import * as z from 'zod'
import { auditEvent } from '../status/events/intent-events.ts'
import type { Queryable } from './database.ts'
import { appendEvents } from './event-store.ts'
import { auditEvents, controller } from './schema.ts'

/** One writer of intent at a time, over all processes: "lvsp". */
const PUBLISH_LOCK = 0x6c767370
export const CHANNEL = 'lvsfleet'

export type Controller = { readonly epoch: number; readonly keys: readonly PublicKey[] }

export type AuditEvent = {
  readonly at: Date
  readonly actor: string
  readonly action: string
  readonly subject: string
  readonly revision: number | null
  readonly detail: Readonly<Record<string, unknown>>
}

/** Held until the transaction ends; gives up after ten seconds (SQLSTATE 55P03). */
export async function lockPublish(tx: Queryable): Promise<void> {
  await tx.execute(sql`set local lock_timeout = '10s'`)
  await tx.execute(sql`select pg_advisory_xact_lock(${PUBLISH_LOCK})`)
}

/** Tells every process that something changed, once this transaction is committed. */
export async function notifyChange(tx: Queryable): Promise<void> {
  await tx.execute(sql`select pg_notify(${CHANNEL}, '')`)
}

export async function loadController(db: Queryable): Promise<Controller | undefined> {
  const row = (await db.select().from(controller).where(eq(controller.id, 1)))[0]
  if (row === undefined) return undefined
  return { epoch: row.epoch, keys: z.array(publicKeySchema).parse(row.keys) }
}

export async function insertController(tx: Queryable, first: Controller): Promise<void> {
  await tx.insert(controller).values({ id: 1, epoch: first.epoch, keys: [...first.keys] })
}

export async function updateEpoch(tx: Queryable, epoch: number): Promise<void> {
  await tx.update(controller).set({ epoch }).where(eq(controller.id, 1))
}

/** One line of the audit trail, and the event that it is. The last thing that a transaction does: see event-store.ts. */
export async function insertAuditEvent(tx: Queryable, event: AuditEvent): Promise<void> {
  await insertAuditLine(tx, event)
  await appendEvents(tx, [auditEvent(event)], event.at)
}

/** The line alone, for what is told by events of its own. */
export async function insertAuditLine(tx: Queryable, event: AuditEvent): Promise<void> {
  await tx.insert(auditEvents).values(event)
}

/** Newest first. */
export async function listAuditEvents(
  db: Queryable,
  page: { readonly limit: number; readonly before: number | undefined },
): Promise<(AuditEvent & { number: number })[]> {
  const rows = await db
    .select()
    .from(auditEvents)
    .where(page.before === undefined ? undefined : lt(auditEvents.number, page.before))
    .orderBy(desc(auditEvents.number))
    .limit(page.limit)
  return rows.map((row) => ({
    ...row,
    detail: z.record(z.string(), z.unknown()).parse(row.detail),
  }))
}
