/**
 * Queries on events. Ids come from the one row of `event_stream`, which a transaction that adds events holds until it
 * ends: ids have no gaps, and none becomes visible after a greater one. So a reader that has seen id N has missed
 * nothing below N, which a sequence does not give. Events are the last thing that a transaction writes, so nobody who
 * holds the row waits for another lock.
 */
import { and, asc, desc, eq, gt, gte, inArray, lt, lte, sql, type SQL } from 'drizzle-orm'
import * as z from 'zod'
import {
  atLeast,
  EVENT_KINDS,
  EVENT_SEVERITIES,
  type EventFilter,
  type EventKind,
  type FleetEvent,
  type NewEvent,
} from '../status/event.ts'
import type { Queryable } from './database.ts'
import { chunks } from './intent-store.ts'
import { events, eventStream } from './schema.ts'

export const EVENTS_CHANNEL = 'lvsfleet_events'

const severitySchema = z.enum(EVENT_SEVERITIES)
const detailSchema = z.record(z.string(), z.unknown())

/** What is kept: events after `prunedId` up to `lastId`. */
export type EventBounds = { readonly lastId: number; readonly prunedId: number }

/** Writes events, and tells every process of the last id once this transaction is committed. */
export async function appendEvents(
  tx: Queryable,
  list: readonly NewEvent[],
  recordedAt: Date,
): Promise<void> {
  if (list.length === 0) return
  const rows = await tx
    .update(eventStream)
    .set({ lastId: sql`${eventStream.lastId} + ${list.length}` })
    .where(eq(eventStream.id, 1))
    .returning({ lastId: eventStream.lastId })
  const lastId = rows[0]?.lastId
  if (lastId === undefined) throw new Error('the table event_stream lost its row')
  const numbered = list.map((event, i) => ({
    ...event,
    virtualServices: [...event.virtualServices],
    id: lastId - list.length + 1 + i,
    recordedAt,
  }))
  for (const part of chunks(numbered)) await tx.insert(events).values(part)
  await tx.execute(sql`select pg_notify(${EVENTS_CHANNEL}, ${String(lastId)})`)
}

export async function loadEventBounds(db: Queryable): Promise<EventBounds> {
  const rows = await db.select().from(eventStream).where(eq(eventStream.id, 1))
  return { lastId: rows[0]?.lastId ?? 0, prunedId: rows[0]?.prunedId ?? 0 }
}

/** Oldest first: those after `after` up to `upTo`. */
export async function listEvents(
  db: Queryable,
  page: { readonly after: number; readonly upTo: number; readonly limit: number },
  filter: EventFilter = {},
): Promise<FleetEvent[]> {
  const rows = await db
    .select()
    .from(events)
    .where(and(gt(events.id, page.after), lte(events.id, page.upTo), ...conditionsOf(filter)))
    .orderBy(asc(events.id))
    .limit(page.limit)
  return rows.map(parseEvent)
}

/** The newest that match, oldest of them first. */
export async function listNewestEvents(
  db: Queryable,
  page: { readonly upTo: number; readonly limit: number },
  filter: EventFilter,
): Promise<FleetEvent[]> {
  const rows = await db
    .select()
    .from(events)
    .where(and(lte(events.id, page.upTo), ...conditionsOf(filter)))
    .orderBy(desc(events.id))
    .limit(page.limit)
  return rows.map(parseEvent).toReversed()
}

/** Forgets what was recorded before `before`, and all but the newest `countMax`. */
export async function pruneEvents(
  tx: Queryable,
  keep: { readonly before: Date; readonly countMax: number },
): Promise<void> {
  const { lastId, prunedId } = await loadEventBounds(tx)
  const old = await tx
    .select({ id: events.id })
    .from(events)
    .where(lt(events.recordedAt, keep.before))
    .orderBy(desc(events.id))
    .limit(1)
  const upTo = Math.max(lastId - keep.countMax, old[0]?.id ?? 0)
  if (upTo <= prunedId) return
  await tx.delete(events).where(lte(events.id, upTo))
  await tx
    .update(eventStream)
    .set({ prunedId: sql`greatest(${eventStream.prunedId}, ${upTo})` })
    .where(eq(eventStream.id, 1))
}

function conditionsOf(filter: EventFilter): SQL[] {
  const { kind, director, virtualService, realServer, severity, since } = filter
  return [
    ...(kind === undefined ? [] : [inArray(events.kind, [...kind])]),
    ...(director === undefined ? [] : [eq(events.director, director)]),
    ...(realServer === undefined ? [] : [eq(events.realServer, realServer)]),
    ...(virtualService === undefined
      ? []
      : [sql`${virtualService} = any(${events.virtualServices})`]),
    ...(severity === undefined ? [] : [inArray(events.severity, atLeast(severity))]),
    ...(since === undefined ? [] : [gte(events.at, since)]),
  ]
}

function isKind(text: string): text is EventKind {
  return Object.hasOwn(EVENT_KINDS, text)
}

/** A kind of a newer process on the same database is told as `events.more` rather than not at all. */
function parseEvent(row: typeof events.$inferSelect): FleetEvent {
  return {
    ...row,
    kind: isKind(row.kind) ? row.kind : 'events.more',
    severity: severitySchema.parse(row.severity),
    detail: detailSchema.parse(row.detail),
  }
}
