/**
 * EventFeed: the newest events in the memory of this process, for everybody who follows them. However many streams and
 * polls are held, each event is read from the database once; whoever is further behind reads pages of it.
 */
import type { EventFilter, FleetEvent } from '../status/event.ts'
import { matchesEvent } from '../status/event.ts'
import type { Database } from '../store/database.ts'
import { listEvents, loadEventBounds } from '../store/event-store.ts'
import type { Waiters } from './waiters.ts'

const KEEP_MAX = 2_000
const PAGE_MAX = 500
/** What followers of events wait for. */
export const WAKE = 'events'
/** Streams and polls that this process holds open for events. */
const FOLLOWERS_MAX = 200

/** `cursor`: everything up to it was looked at. */
export type EventPage = { readonly items: readonly FleetEvent[]; readonly cursor: number }

export class EventFeed {
  readonly #database: Database
  readonly #waiters: Waiters
  /** Without gaps, up to `#lastId`. */
  #recent: FleetEvent[] = []
  #lastId: number
  #reading: Promise<void> | undefined
  #isBehind = false
  #followers = 0

  private constructor(database: Database, waiters: Waiters, lastId: number) {
    this.#database = database
    this.#waiters = waiters
    this.#lastId = lastId
  }

  static async load(database: Database, waiters: Waiters): Promise<EventFeed> {
    return new EventFeed(database, waiters, (await loadEventBounds(database.db)).lastId)
  }

  /** Of the newest event that this process knows. */
  get lastId(): number {
    return this.#lastId
  }

  get followers(): number {
    return this.#followers
  }

  get isClosed(): boolean {
    return this.#waiters.isClosed
  }

  /** Takes a place among those who follow; undefined = there is none. The returned function gives it back, once. */
  follow(): (() => void) | undefined {
    if (this.#followers >= FOLLOWERS_MAX) return undefined
    this.#followers++
    let left = false
    return () => {
      if (!left) this.#followers--
      left = true
    }
  }

  /** Reads what was written since, and wakes who waits. Calls during a reading make it read once more. */
  refresh(): Promise<void> {
    this.#isBehind = true
    this.#reading ??= this.#catchUp().finally(() => (this.#reading = undefined))
    return this.#reading
  }

  /** Everything after `after` is in memory. */
  remembers(after: number): boolean {
    return after >= this.#lastId - this.#recent.length
  }

  /** Up to `limit` events after `after` that match. */
  async read(after: number, limit: number, filter: EventFilter): Promise<EventPage> {
    const upTo = this.#lastId
    const recent = this.#recent
    const items = this.remembers(after)
      ? recent
          .slice(Math.max(0, recent.length - (upTo - after)))
          .filter((event) => matchesEvent(event, filter))
      : await listEvents(this.#database.db, { after, upTo, limit }, filter)
    const page = items.slice(0, limit)
    const last = page.at(-1)
    return {
      items: page,
      cursor: page.length === limit && last !== undefined ? last.id : Math.max(after, upTo),
    }
  }

  /** Until there are events after `after`, for `timeoutMs` at most, and not at all while the process drains. */
  async wait(after: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#lastId > after) return
    await this.#waiters.wait(WAKE, timeoutMs, signal)
  }

  async #catchUp(): Promise<void> {
    while (this.#isBehind) {
      this.#isBehind = false
      const { lastId } = await loadEventBounds(this.#database.db)
      // A database that was put back: what is in memory never happened there. Or too much to be worth the reading.
      if (lastId < this.#lastId || lastId - this.#lastId > KEEP_MAX) {
        this.#recent = []
        this.#lastId = lastId
      }
      while (this.#lastId < lastId) {
        const page = { after: this.#lastId, upTo: lastId, limit: PAGE_MAX }
        const fresh = await listEvents(this.#database.db, page)
        const last = fresh.at(-1)
        // Kept no more: as if they had been read.
        if (last === undefined || last.id - this.#lastId !== fresh.length) this.#recent = []
        this.#recent = [...this.#recent, ...fresh].slice(-KEEP_MAX)
        this.#lastId = last?.id ?? lastId
      }
      this.#waiters.wake(WAKE)
    }
  }
}
