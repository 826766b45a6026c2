/** Probes: is the process alive, can it serve. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { ApiError } from '../../errors.ts'
import { missingMigrations } from '../../store/migrate.ts'
import type { Deps } from '../../verbs/deps.ts'
import type { AppEnv } from '../app-env.ts'
import { json, problems } from '../contract.ts'

const answer = z.object({ status: z.string() })

const health = createRoute({
  method: 'get',
  path: '/healthz',
  tags: ['probes'],
  security: [],
  responses: { 200: json(answer, 'The process runs') },
})

const ready = createRoute({
  method: 'get',
  path: '/readyz',
  tags: ['probes'],
  security: [],
  responses: {
    200: json(answer, 'The database answers and its tables are up to date'),
    ...problems(),
  },
})

export function probeRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
  app.openapi(health, (c) => c.json({ status: 'ok' }, 200))
  app.openapi(ready, async (c) => {
    const missing = await missingMigrations(deps.database.db)
    if (missing > 0) {
      throw new ApiError(
        'database-unavailable',
        `the database lacks ${missing} migration(s): start the API anew`,
      )
    }
    return c.json({ status: 'ok' }, 200)
  })
}
