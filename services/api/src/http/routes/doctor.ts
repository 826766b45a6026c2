/** The doctor of the whole fleet: what each host's cheap checks found, as they last reported it. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { findingSchema, roleSchema, severitySchema } from '@lvs-fleet/contract'
import { nameSchema } from '../../intent/shared-fields.ts'
import type { Deps } from '../../verbs/deps.ts'
import { listFindings } from '../../verbs/read-doctor.ts'
import type { AppEnv } from '../app-env.ts'
import { cursorSchema, json, limitSchema, page, problems } from '../contract.ts'

const hostFindingSchema = findingSchema
  .extend({
    role: roleSchema,
    name: z.string(),
    site: z.string(),
    /** When the report came; the checks ran up to five minutes before. */
    reportedAt: z.string(),
  })
  .openapi('HostFinding')

const listRoute = createRoute({
  method: 'get',
  path: '/v1/doctor',
  tags: ['host'],
  request: {
    query: z.strictObject({
      limit: limitSchema,
      cursor: cursorSchema.optional(),
      role: roleSchema.optional(),
      name: nameSchema.optional(),
      severity: severitySchema.optional(),
    }),
  },
  responses: {
    200: json(
      z.object({ items: z.array(hostFindingSchema), nextCursor: z.string().nullable() }),
      'Findings of all hosts, broken ones first',
    ),
    ...problems(),
  },
})

export function doctorRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
  app.openapi(listRoute, async (c) => {
    const query = c.req.valid('query')
    const { items, nextCursor } = page(await listFindings(deps, query), ({ key }) => key, query)
    const found = items.map(({ role, name, site, reportedAt, finding }) => ({
      role,
      name,
      site,
      reportedAt: reportedAt.toISOString(),
      ...finding,
    }))
    return c.json({ items: found, nextCursor }, 200)
  })
}
