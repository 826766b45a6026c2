/** What happened in the fleet: pages by cursor, held open where that is asked, and a stream. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { ApiError } from '../../errors.ts'
import { wireEvent } from '../../status/wire-event.ts'
import type { Deps } from '../../verbs/deps.ts'
import {
  checkedRead,
  readEvents,
  readNewestEvents,
  startOf,
  tooMany,
} from '../../verbs/read-events.ts'
import type { AppEnv } from '../app-env.ts'
import { json, limitSchema, problems } from '../contract.ts'
import { eventStream, type StreamTimes } from '../event-stream.ts'
import { cutConnection } from '../node-connection.ts'
import { afterSchema, eventFilterQuery, eventSchema, filterOf } from './event-schemas.ts'

const WAIT_SECONDS_MAX = 50

const listRoute = createRoute({
  method: 'get',
  path: '/v1/events',
  tags: ['events'],
  request: {
    query: z.strictObject({
      after: afterSchema,
      /** The newest `limit` that match instead of those after a cursor. */
      newest: z.enum(['true']).optional(),
      limit: limitSchema,
      wait: z.coerce.number().min(0).max(WAIT_SECONDS_MAX).default(0),
      ...eventFilterQuery,
    }),
  },
  responses: {
    200: json(
      z.object({
        items: z.array(eventSchema),
        /** What to give as `after` next: everything up to it was looked at. */
        cursor: z.string(),
      }),
      'Events after the cursor, oldest first; none when nothing happened until the wait was over',
    ),
    ...problems(410, 429),
  },
})

const streamRoute = createRoute({
  method: 'get',
  path: '/v1/events/stream',
  tags: ['events'],
  request: {
    headers: z.object({ 'last-event-id': afterSchema }),
    query: z.strictObject({ after: afterSchema, ...eventFilterQuery }),
  },
  responses: {
    200: {
      description:
        'Server-sent events, from now on, or after `Last-Event-ID` (or `after`); ids are cursors, `data` is an Event',
      content: { 'text/event-stream': { schema: z.string() } },
    },
    ...problems(410, 429, 501),
  },
})

export function eventRoutes(app: OpenAPIHono<AppEnv>, deps: Deps, times: StreamTimes): void {
  app.openapi(listRoute, async (c) => {
    const { after, newest, limit, wait, ...rest } = c.req.valid('query')
    if (newest !== undefined && (after !== undefined || wait > 0)) {
      throw new ApiError('invalid-parameter', 'newest goes with neither after nor wait')
    }
    const filter = filterOf(rest)
    const page =
      newest === undefined
        ? await readEvents(deps, {
            after,
            limit,
            filter,
            waitMs: deps.holdsPolls ? wait * 1_000 : 0,
            signal: () => c.req.raw.signal,
          })
        : await readNewestEvents(deps, { limit, filter })
    return c.json({ items: page.items.map(wireEvent), cursor: String(page.cursor) }, 200)
  })

  app.openapi(streamRoute, async (c) => {
    if (!deps.holdsPolls) {
      throw new ApiError(
        'not-offered',
        'this API runs as a function, which can hold no stream: read GET /v1/events?after=CURSOR now and then; each answer gives the next cursor',
      )
    }
    const { after, ...rest } = c.req.valid('query')
    const from = c.req.valid('header')['last-event-id'] ?? after
    const filter = filterOf(rest)
    // `since` alone begins with what is kept; otherwise a stream is about what comes.
    const begin = from ?? (filter.since === undefined ? 'latest' : undefined)
    const start = await startOf(deps, begin)
    // What cannot be served is told by a status, before the stream begins.
    await checkedRead(deps, start, 1, filter, begin === undefined)
    // Nobody would ever read, and so nobody end, the stream of a HEAD.
    if (c.req.method === 'HEAD') return c.body('', 200)
    const leave = deps.events.follow()
    if (leave === undefined) throw tooMany()
    c.header('content-type', 'text/event-stream; charset=utf-8')
    c.header('cache-control', 'no-store')
    // Proxies of the nginx family hold answers back otherwise.
    c.header('x-accel-buffering', 'no')
    return c.body(
      eventStream(deps, {
        after: start,
        filter,
        signal: c.req.raw.signal,
        times,
        onEnd: leave,
        cut: () => cutConnection(c.env),
      }),
      200,
    )
  })
}
