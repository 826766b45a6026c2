/**
 * Events after a cursor, or the newest; waits for some where that is asked. A cursor of which events are kept no more, or
 * that this database never gave, is refused, so that nobody takes a gap for silence.
 */
import { ApiError } from '../errors.ts'
import type { EventFilter } from '../status/event.ts'
import { listNewestEvents, loadEventBounds } from '../store/event-store.ts'
import type { Deps } from './deps.ts'
import type { EventPage } from './event-feed.ts'

export type EventQuery = {
  /** `latest` = from now on; undefined = from the oldest that is kept. */
  readonly after: number | 'latest' | undefined
  readonly limit: number
  readonly filter: EventFilter
  readonly waitMs: number
  /** Asked for only where a wait begins: the first look at it costs. */
  readonly signal: () => AbortSignal
}

export async function readEvents(deps: Deps, query: EventQuery): Promise<EventPage> {
  const { limit, filter, waitMs } = query
  // Who asks sees what was committed before, however slow notifications are.
  await deps.events.refresh()
  let cursor = await startOf(deps, query.after)
  let page = await checkedRead(deps, cursor, limit, filter, query.after === undefined)
  if (page.items.length > 0 || waitMs === 0) return page
  const leave = deps.events.follow()
  if (leave === undefined) throw tooMany()
  try {
    const until = performance.now() + waitMs
    const signal = query.signal()
    for (;;) {
      cursor = page.cursor
      const leftMs = until - performance.now()
      if (leftMs <= 0 || signal.aborted || deps.events.isClosed) return page
      await deps.events.wait(cursor, leftMs, signal)
      page = await checkedRead(deps, cursor, limit, filter, false)
      if (page.items.length > 0) return page
    }
  } finally {
    leave()
  }
}

export async function readNewestEvents(
  deps: Deps,
  query: Pick<EventQuery, 'limit' | 'filter'>,
): Promise<EventPage> {
  const { db } = deps.database
  const { lastId: upTo } = await loadEventBounds(db)
  const items = await listNewestEvents(db, { upTo, limit: query.limit }, query.filter)
  return { items, cursor: upTo }
}

/** The id after which to begin; asks the database, since another process may have given the cursor a moment ago. */
export async function startOf(deps: Deps, after: EventQuery['after']): Promise<number> {
  if (typeof after === 'number' && after <= deps.events.lastId) return after
  if (after !== undefined) await deps.events.refresh()
  if (after === undefined) return (await loadEventBounds(deps.database.db)).prunedId
  if (after === 'latest') return deps.events.lastId
  if (after <= deps.events.lastId) return after
  throw new ApiError(
    'cursor-gone',
    `there is no event ${after} yet, the newest is ${deps.events.lastId}: the database is another one, or was put back; ` +
      'begin without `after`',
  )
}

/** Looks at what is kept after it has read: what went meanwhile is missed by the reading at most. */
export async function checkedRead(
  deps: Deps,
  after: number,
  limit: number,
  filter: EventFilter,
  fromOldest: boolean,
): Promise<EventPage> {
  const page = await deps.events.read(after, limit, filter)
  if (fromOldest || deps.events.remembers(after)) return page
  const { prunedId } = await loadEventBounds(deps.database.db)
  if (after >= prunedId) return page
  throw new ApiError(
    'cursor-gone',
    `events up to ${prunedId} are no longer kept, and you have seen those up to ${after}: ` +
      `what is between is lost; go on with after=${prunedId}`,
  )
}

export function tooMany(): ApiError {
  return new ApiError(
    'too-many-requests',
    'too many follow the events of this process; try again',
    {
      headers: { 'retry-after': '5' },
    },
  )
}
