/** The whole fleet as one document, and its revisions. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { ApiError } from '../../errors.ts'
import { fleetSchema, fleetToDocument } from '../../intent/fleet.ts'
import { KINDS } from '../../intent/kinds.ts'
import { findRevision, listRevisions } from '../../store/intent-store.ts'
import type { Deps } from '../../verbs/deps.ts'
import { putFleet } from '../../verbs/put-fleet.ts'
import { fleetAt } from '../../verbs/read-fleet.ts'
import { authorOf, type AppEnv } from '../app-env.ts'
import {
  ifMatchHeader,
  json,
  jsonBody,
  limitSchema,
  parseEtags,
  problems,
  revisionNumberSchema,
  writeQuery,
} from '../contract.ts'
import { outcomeOf, outcomeSchema } from '../outcome.ts'

const documentSchema = z
  .record(z.string(), z.record(z.string(), z.unknown()))
  .openapi('FleetDocument')

const getFleet = createRoute({
  method: 'get',
  path: '/v1/fleet',
  tags: ['fleet'],
  request: { query: z.strictObject({ revision: revisionNumberSchema.optional() }) },
  responses: { 200: json(documentSchema, 'The fleet; ETag is its revision'), ...problems(404) },
})

const putFleetRoute = createRoute({
  method: 'put',
  path: '/v1/fleet',
  tags: ['fleet'],
  request: {
    query: z.strictObject(writeQuery),
    headers: ifMatchHeader,
    body: jsonBody(fleetSchema),
  },
  responses: {
    200: json(outcomeSchema, 'What it did, or with dryRun would do'),
    ...problems(409, 412, 413, 415, 422),
  },
})

const revisionSchema = z.object({
  number: z.int(),
  at: z.string(),
  actor: z.string(),
  action: z.string(),
  summary: z.string(),
})

const listRoute = createRoute({
  method: 'get',
  path: '/v1/revisions',
  tags: ['fleet'],
  request: {
    query: z.strictObject({ limit: limitSchema, before: revisionNumberSchema.optional() }),
  },
  responses: {
    200: json(
      z.object({ items: z.array(revisionSchema), nextBefore: z.int().nullable() }),
      'Revisions, newest first',
    ),
    ...problems(),
  },
})

const changeSchema = z.object({
  change: z.enum(['created', 'updated', 'deleted']),
  kind: z.enum(KINDS),
  name: z.string(),
  before: z.record(z.string(), z.unknown()).optional(),
  after: z.record(z.string(), z.unknown()).optional(),
})

const getRevision = createRoute({
  method: 'get',
  path: '/v1/revisions/{number}',
  tags: ['fleet'],
  request: { params: z.object({ number: revisionNumberSchema }) },
  responses: {
    200: json(
      revisionSchema.extend({ changes: z.array(changeSchema) }),
      'A revision and what it changed',
    ),
    ...problems(404),
  },
})

export function fleetRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
  app.openapi(getFleet, async (c) => {
    const { revision, fleet } = await fleetAt(deps, c.req.valid('query').revision)
    c.header('etag', `"${revision}"`)
    return c.json(fleetToDocument(fleet), 200)
  })

  app.openapi(putFleetRoute, async (c) => {
    const { dryRun, allowShrink } = c.req.valid('query')
    const published = await putFleet(deps, {
      ...authorOf(c),
      document: c.req.valid('json'),
      ifMatch: parseEtags(c.req.valid('header')['if-match']),
      dryRun,
      allowShrink,
    })
    c.header('etag', `"${published.revision}"`)
    return c.json(outcomeOf(published, dryRun), 200)
  })

  app.openapi(listRoute, async (c) => {
    const { limit, before } = c.req.valid('query')
    const rows = await listRevisions(deps.database.db, { limit, before })
    const items = rows.map((row) => ({ ...row, at: row.at.toISOString() }))
    const last = items.at(-1)
    return c.json(
      { items, nextBefore: last !== undefined && last.number > 1 ? last.number : null },
      200,
    )
  })

  app.openapi(getRevision, async (c) => {
    const { number } = c.req.valid('param')
    const found = await findRevision(deps.database.db, number)
    if (found === undefined) throw new ApiError('not-found', `there is no revision ${number}`)
    return c.json({ ...found, at: found.at.toISOString(), changes: [...found.changes] }, 200)
  })
}
