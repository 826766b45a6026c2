/** What is left of drains, as the directors that carry them out report it. Drains themselves are intent: `/v1/drains`. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { DIRECTOR_DRAIN_STATES, DRAIN_STATES } from '../../status/drains.ts'
import type { Deps } from '../../verbs/deps.ts'
import { readDrain, readDrains, type DrainStatus } from '../../verbs/read-drains.ts'
import type { AppEnv } from '../app-env.ts'
import { cursorSchema, json, limitSchema, page, problems } from '../contract.ts'

const counts = {
  /** Destinations of all directors, and those of them that are out of the kernel. */
  destinations: z.int(),
  drained: z.int(),
  activeConnections: z.int(),
  /** Closing ones; of UDP all. */
  inactiveConnections: z.int(),
  /** Templates of persistent clients. */
  persistentConnections: z.int(),
}

const drainStatusSchema = z
  .object({
    name: z.string(),
    /** `real server rs-b1`, `site b`. */
    target: z.string(),
    reason: z.string(),
    owner: z.string(),
    since: z.string(),
    /** What is left then is cut. */
    deadline: z.string(),
    state: z.enum(DRAIN_STATES),
    message: z.string(),
    ...counts,
    directors: z.array(
      z.object({
        director: z.string(),
        state: z.enum(DIRECTOR_DRAIN_STATES),
        ...counts,
        /** By the director's own clock; null = it said nothing. */
        remainingSeconds: z.int().nullable(),
        /** The first destinations that still drain. */
        left: z.array(
          z.object({
            service: z.string(),
            destination: z.string(),
            connections: z.int(),
            remainingSeconds: z.int(),
          }),
        ),
      }),
    ),
  })
  .openapi('DrainStatus')

const listRoute = createRoute({
  method: 'get',
  path: '/v1/drain-status',
  tags: ['drain'],
  request: { query: z.strictObject({ limit: limitSchema, cursor: cursorSchema.optional() }) },
  responses: {
    200: json(
      z.object({ items: z.array(drainStatusSchema), nextCursor: z.string().nullable() }),
      'By name',
    ),
    ...problems(),
  },
})

const oneRoute = createRoute({
  method: 'get',
  path: '/v1/drain-status/{name}',
  tags: ['drain'],
  request: { params: z.object({ name: z.string().max(63) }) },
  responses: { 200: json(drainStatusSchema, 'What is left of one drain'), ...problems(404) },
})

export function drainRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
  app.openapi(listRoute, async (c) => {
    const query = c.req.valid('query')
    const { items, nextCursor } = page(await readDrains(deps), ({ name }) => name, query)
    return c.json({ items: items.map(resourceOf), nextCursor }, 200)
  })
  app.openapi(oneRoute, async (c) =>
    c.json(resourceOf(await readDrain(deps, c.req.valid('param').name)), 200),
  )
}

function resourceOf({ since, directors, ...status }: DrainStatus) {
  return {
    ...status,
    since: since.toISOString(),
    directors: directors.map((one) => ({ ...one, left: [...one.left] })),
  }
}
