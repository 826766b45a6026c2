/** Health of the real servers, as all directors together see it. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { healthStateSchema } from '@lvs-fleet/contract'
import { FLEET_VERDICTS, healthKey } from '../../status/health.ts'
import { nameSchema } from '../../intent/shared-fields.ts'
import type { Deps } from '../../verbs/deps.ts'
import { readHealth } from '../../verbs/read-health.ts'
import type { AppEnv } from '../app-env.ts'
import { cursorSchema, json, limitSchema, page, problems } from '../contract.ts'

const serverHealthSchema = z
  .object({
    key: z.string(),
    realServer: z.string(),
    address: z.string(),
    port: z.int(),
    /** `http /health`, `tcp`, `dns shop.example` */
    asks: z.string(),
    /** `partial`: it answers some directors and not others, so that a way is broken. */
    verdict: z.enum(FLEET_VERDICTS),
    message: z.string(),
    /** What each director that checks it said last. */
    views: z.array(
      z.object({
        director: z.string(),
        site: z.string(),
        through: z.string().nullable(),
        state: healthStateSchema,
        class: z.string().nullable(),
        since: z.string().nullable(),
        detail: z.string(),
        latencyMs: z.number().nullable(),
      }),
    ),
  })
  .openapi('ServerHealth')

const listRoute = createRoute({
  method: 'get',
  path: '/v1/health',
  tags: ['host'],
  request: {
    query: z.strictObject({
      limit: limitSchema,
      cursor: cursorSchema.optional(),
      realServer: nameSchema.optional(),
      verdict: z.enum(FLEET_VERDICTS).optional(),
    }),
  },
  responses: {
    200: json(
      z.object({ items: z.array(serverHealthSchema), nextCursor: z.string().nullable() }),
      'Checked real servers, what is down first',
    ),
    ...problems(),
  },
})

export function healthRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
  app.openapi(listRoute, async (c) => {
    const query = c.req.valid('query')
    const { items, nextCursor } = page(await readHealth(deps, query), healthKey, query)
    return c.json(
      { items: items.map((one) => ({ ...one, views: [...one.views] })), nextCursor },
      200,
    )
  })
}
