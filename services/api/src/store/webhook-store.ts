/**
 * Queries on webhooks. How far each has come is one number, so that a process that dies in the middle loses nothing: the
 * event it was at is sent again. A lease by the database's clock says whose turn it is, over all processes.
 */
import { and, asc, eq, isNull, sql } from 'drizzle-orm'
import * as z from 'zod'
import { EVENT_SEVERITIES, type EventKind, type EventSeverity } from '../status/event.ts'
import { EVENT_KINDS } from '../status/event.ts'
import type { Queryable } from './database.ts'
import { webhooks } from './schema.ts'

export type Webhook = {
  readonly id: string
  readonly name: string
  readonly url: string
  /** Null = every kind. */
  readonly kinds: readonly EventKind[] | null
  readonly severity: EventSeverity
  readonly sealedSecret: string
  readonly giveUpHours: number
  readonly createdBy: string
  readonly createdAt: Date
  readonly pausedAt: Date | null
  readonly gaveUpAt: Date | null
  readonly deliveredId: number
  readonly deliveredAt: Date | null
  readonly attempts: number
  readonly failingSince: Date | null
  readonly nextAttemptAt: Date | null
  readonly lastError: string | null
}

/** Longer than one delivery may take, with room for a slow database. */
const LEASE_SECONDS = 20

const NOBODY = { leasedBy: null, leasedUntil: null } as const
const lease = { leasedUntil: sql`now() + make_interval(secs => ${LEASE_SECONDS})` }
const AT_REST = { attempts: 0, failingSince: null, nextAttemptAt: null, lastError: null } as const

export async function insertWebhook(tx: Queryable, webhook: Webhook): Promise<boolean> {
  const rows = await tx
    .insert(webhooks)
    .values({ ...webhook, kinds: webhook.kinds === null ? null : [...webhook.kinds] })
    .onConflictDoNothing()
    .returning({ id: webhooks.id })
  return rows.length === 1
}

export async function listWebhooks(db: Queryable): Promise<Webhook[]> {
  return (await db.select().from(webhooks).orderBy(asc(webhooks.name))).map(parseWebhook)
}

export async function countWebhooks(db: Queryable): Promise<number> {
  return db.$count(webhooks)
}

export async function deleteWebhook(tx: Queryable, id: string): Promise<Webhook | undefined> {
  const rows = await tx.delete(webhooks).where(eq(webhooks.id, id)).returning()
  return rows[0] === undefined ? undefined : parseWebhook(rows[0])
}

export async function pauseWebhook(
  tx: Queryable,
  id: string,
  at: Date,
): Promise<Webhook | undefined> {
  const rows = await tx
    .update(webhooks)
    .set({ pausedAt: sql`coalesce(${webhooks.pausedAt}, ${at})` })
    .where(eq(webhooks.id, id))
    .returning()
  return rows[0] === undefined ? undefined : parseWebhook(rows[0])
}

/** Goes on where it stood, at once. */
export async function resumeWebhook(tx: Queryable, id: string): Promise<Webhook | undefined> {
  const rows = await tx
    .update(webhooks)
    .set({ pausedAt: null, gaveUpAt: null, ...AT_REST })
    .where(eq(webhooks.id, id))
    .returning()
  return rows[0] === undefined ? undefined : parseWebhook(rows[0])
}

/** One webhook that has something to be told and that nobody else is at; undefined = there is none now. */
export async function claimWebhook(
  db: Queryable,
  claim: { readonly by: string; readonly lastId: number; readonly now: Date },
): Promise<Webhook | undefined> {
  const { by, lastId, now } = claim
  const due = sql`(select id from ${webhooks}
    where paused_at is null and gave_up_at is null and delivered_id < ${lastId}
      and (next_attempt_at is null or next_attempt_at <= ${now})
      and (leased_until is null or leased_until < now())
    order by next_attempt_at nulls first, id limit 1 for update skip locked)`
  const rows = await db
    .update(webhooks)
    .set({ leasedBy: by, ...lease })
    .where(sql`${webhooks.id} = ${due}`)
    .returning()
  return rows[0] === undefined ? undefined : parseWebhook(rows[0])
}

type Step = { readonly id: string; readonly by: string }

/** Everything up to `deliveredId` is done; false = stop: paused, deleted, or another process's turn. */
export async function saveDelivered(
  tx: Queryable,
  { id, by }: Step,
  done: { readonly deliveredId: number; readonly at: Date | null },
): Promise<boolean> {
  const rows = await tx
    .update(webhooks)
    .set({
      deliveredId: done.deliveredId,
      ...(done.at === null ? {} : { ...AT_REST, deliveredAt: done.at }),
      ...lease,
    })
    .where(and(eq(webhooks.id, id), eq(webhooks.leasedBy, by)))
    .returning({ pausedAt: webhooks.pausedAt })
  return rows[0] !== undefined && rows[0].pausedAt === null
}

/** Ends the turn with a failure; false = it was not its turn any more. */
export async function saveFailed(
  tx: Queryable,
  { id, by }: Step,
  failure: Pick<Webhook, 'attempts' | 'failingSince' | 'nextAttemptAt' | 'lastError' | 'gaveUpAt'>,
): Promise<boolean> {
  const rows = await tx
    .update(webhooks)
    .set({ ...failure, ...NOBODY })
    .where(and(eq(webhooks.id, id), eq(webhooks.leasedBy, by), isNull(webhooks.gaveUpAt)))
    .returning({ id: webhooks.id })
  return rows.length === 1
}

export async function releaseWebhook(db: Queryable, { id, by }: Step): Promise<void> {
  await db
    .update(webhooks)
    .set(NOBODY)
    .where(and(eq(webhooks.id, id), eq(webhooks.leasedBy, by)))
}

/** Kinds that this version does not know are left out, as none of its events has them. */
const kindsSchema = z
  .array(z.string())
  .nullable()
  .transform(
    (list) => list?.filter((kind): kind is EventKind => Object.hasOwn(EVENT_KINDS, kind)) ?? null,
  )

function parseWebhook(row: typeof webhooks.$inferSelect): Webhook {
  const { leasedBy: _by, leasedUntil: _until, ...rest } = row
  return {
    ...rest,
    kinds: kindsSchema.parse(row.kinds),
    severity: z.enum(EVENT_SEVERITIES).parse(row.severity),
  }
}
