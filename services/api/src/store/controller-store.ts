/** Queries on the controller row, the lock that orders writers of intent, and notifications. */
import { eq, sql } from 'drizzle-orm'
import { publicKeySchema, type PublicKey } from '@lvs-fleet/contract'
import * as z from 'zod'
import type { Queryable } from './database.ts'
import { controller } from './schema.ts'

/** One writer of intent at a time, over all processes: "lvsp". */
const PUBLISH_LOCK = 0x6c767370
export const CHANNEL = 'lvsfleet'

export type Controller = { readonly epoch: number; readonly keys: readonly PublicKey[] }

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
