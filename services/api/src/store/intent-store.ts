/** Queries on intent objects and revisions. JSON columns are parsed on read with the schemas of `intent/`. */
import { and, desc, eq, gt, inArray, isNull, lt, lte, or, sql } from 'drizzle-orm'
import * as z from 'zod'
import { bodyToDocument } from '../intent/fleet.ts'
import { KINDS, SPEC_SCHEMAS, type Kind, type Spec } from '../intent/kinds.ts'
import type { Queryable } from './database.ts'
import { objects, revisions } from './schema.ts'

/** One version of one object. */
export type StoredObject = {
  readonly id: string
  readonly kind: Kind
  readonly name: string
  readonly version: number
  /** The revision that made this version. */
  readonly revision: number
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly spec: Spec
}

export const changeSchema = z.object({
  change: z.enum(['created', 'updated', 'deleted']),
  kind: z.enum(KINDS),
  name: z.string(),
  before: z.record(z.string(), z.unknown()).optional(),
  after: z.record(z.string(), z.unknown()).optional(),
})
/** What a revision did to one object; `before` and `after` as an operator writes it. */
export type Change = z.infer<typeof changeSchema>

/** Made once: a schema costs far more to make than to use. */
const rowSchema = z.object({ kind: z.enum(KINDS), spec: z.record(z.string(), z.unknown()) })
const changesSchema = z.array(changeSchema)

export type Revision = {
  readonly number: number
  readonly at: Date
  readonly actor: string
  readonly action: string
  readonly summary: string
  readonly changes: readonly Change[]
}

type ObjectRow = typeof objects.$inferSelect

/** Rows of one insert: far below the 65,535 parameters that the protocol allows. */
const ROWS_PER_INSERT = 500

export async function latestRevision(db: Queryable): Promise<number> {
  const rows = await db
    .select({ number: sql<number>`coalesce(max(${revisions.number}), 0)::int` })
    .from(revisions)
  return rows[0]?.number ?? 0
}

export async function loadObjects(db: Queryable): Promise<StoredObject[]> {
  return (await db.select().from(objects).where(isNull(objects.untilRevision))).map(parseRow)
}

/** The fleet as it was: rows that had begun and had not ended. */
export async function loadObjectsAt(db: Queryable, revision: number): Promise<StoredObject[]> {
  const rows = await db
    .select()
    .from(objects)
    .where(
      and(
        lte(objects.sinceRevision, revision),
        or(isNull(objects.untilRevision), gt(objects.untilRevision, revision)),
      ),
    )
  return rows.map(parseRow)
}

/** What changed after `revision`: objects that stand now, and names of those that ended. */
export async function loadObjectsSince(
  db: Queryable,
  revision: number,
): Promise<{ standing: StoredObject[]; ended: { kind: Kind; name: string }[] }> {
  const rows = await db
    .select()
    .from(objects)
    .where(or(gt(objects.sinceRevision, revision), gt(objects.untilRevision, revision)))
  const parsed = rows.map((row) => ({ object: parseRow(row), ended: row.untilRevision !== null }))
  return {
    standing: parsed.filter((row) => !row.ended).map((row) => row.object),
    ended: parsed.filter((row) => row.ended).map((row) => row.object),
  }
}

/** Ends the old versions and writes the new ones. */
export async function writeObjects(
  tx: Queryable,
  revision: number,
  changed: { readonly ended: readonly StoredObject[]; readonly standing: readonly StoredObject[] },
): Promise<void> {
  for (const part of chunks(changed.ended)) {
    await tx
      .update(objects)
      .set({ untilRevision: revision })
      .where(
        and(
          isNull(objects.untilRevision),
          inArray(
            objects.id,
            part.map((object) => object.id),
          ),
        ),
      )
  }
  for (const part of chunks(changed.standing)) {
    await tx.insert(objects).values(
      part.map((object) => ({
        id: object.id,
        kind: object.kind,
        name: object.name,
        version: object.version,
        spec: bodyToDocument(object.spec),
        sinceRevision: revision,
        createdAt: object.createdAt,
        updatedAt: object.updatedAt,
      })),
    )
  }
}

export async function insertRevision(tx: Queryable, revision: Revision): Promise<void> {
  await tx.insert(revisions).values({ ...revision, changes: [...revision.changes] })
}

/** Newest first, older than `before` when it is given. */
export async function listRevisions(
  db: Queryable,
  page: { readonly limit: number; readonly before: number | undefined },
): Promise<Omit<Revision, 'changes'>[]> {
  return db
    .select({
      number: revisions.number,
      at: revisions.at,
      actor: revisions.actor,
      action: revisions.action,
      summary: revisions.summary,
    })
    .from(revisions)
    .where(page.before === undefined ? undefined : lt(revisions.number, page.before))
    .orderBy(desc(revisions.number))
    .limit(page.limit)
}

export async function findRevision(db: Queryable, number: number): Promise<Revision | undefined> {
  const rows = await db.select().from(revisions).where(eq(revisions.number, number))
  const row = rows[0]
  return row === undefined ? undefined : { ...row, changes: changesSchema.parse(row.changes) }
}

export function* chunks<T>(items: readonly T[], size = ROWS_PER_INSERT): Generator<T[]> {
  for (let i = 0; i < items.length; i += size) yield items.slice(i, i + size)
}

function parseRow(row: ObjectRow): StoredObject {
  const { kind, spec: body } = rowSchema.parse({ kind: row.kind, spec: row.spec })
  return {
    id: row.id,
    kind,
    name: row.name,
    version: row.version,
    revision: row.sinceRevision,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
    spec: SPEC_SCHEMAS[kind].parse({ ...body, name: row.name }),
  }
}
