/** Queries on the signed lists of the controller's keys, and on the names of keys that ever signed here. */
import { asc, desc, eq } from 'drizzle-orm'
import type { PublicKey } from '@lvs-fleet/contract'
import type { Queryable } from './database.ts'
import { controller, controllerKeyLists } from './schema.ts'

export type StoredKeyList = {
  readonly serial: number
  /** Thumbprint of the key that signs states from here on. */
  readonly current: string
  readonly jws: string
  readonly createdAt: Date
}

/** Oldest first. */
export async function loadKeyLists(db: Queryable): Promise<StoredKeyList[]> {
  return db.select().from(controllerKeyLists).orderBy(asc(controllerKeyLists.serial))
}

export async function newestSerial(db: Queryable): Promise<number> {
  const rows = await db
    .select({ serial: controllerKeyLists.serial })
    .from(controllerKeyLists)
    .orderBy(desc(controllerKeyLists.serial))
    .limit(1)
  return rows[0]?.serial ?? 0
}

export async function insertKeyList(tx: Queryable, list: StoredKeyList): Promise<void> {
  await tx.insert(controllerKeyLists).values(list)
}

/** The database knows every key that it may be signed by: a start with another is refused. */
export async function updateControllerKeys(
  tx: Queryable,
  keys: readonly PublicKey[],
): Promise<void> {
  await tx
    .update(controller)
    .set({ keys: [...keys] })
    .where(eq(controller.id, 1))
}
