/** The audit trail of all that was done and refused, and its signed checkpoints: what `lvsfleet audit` verifies. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { auditCheckpointSchema, auditRecordSchema } from '@lvs-fleet/contract'
import {
  listAuditEvents,
  listAuditEventsAfter,
  listCheckpoints,
  type SignedCheckpoint,
} from '../../store/audit-store.ts'
import { signHead } from '../../verbs/audit-trail.ts'
import type { Deps } from '../../verbs/deps.ts'
import type { AppEnv } from '../app-env.ts'
import { json, limitSchema, problems, revisionNumberSchema } from '../contract.ts'

const checkpointSchema = auditCheckpointSchema.extend({
  /** Compact JWS of the controller's key over the canonical text of the other three. */
  jws: z.string(),
})

const tags = ['access']
const routes = {
  events: createRoute({
    method: 'get',
    path: '/v1/audit-events',
    tags,
    request: {
      query: z
        .strictObject({
          limit: limitSchema,
          before: revisionNumberSchema.optional(),
          /** Oldest first from here on, as an export needs them; 0 = from the first. */
          after: revisionNumberSchema.optional(),
        })
        .refine(({ before, after }) => before === undefined || after === undefined, {
          error: 'before and after exclude each other',
        }),
    },
    responses: {
      200: json(
        z.object({ items: z.array(auditRecordSchema) }),
        'Newest first; with `after`: oldest first',
      ),
      ...problems(),
    },
  }),
  checkpoints: createRoute({
    method: 'get',
    path: '/v1/audit/checkpoints',
    tags,
    request: {
      query: z.strictObject({ limit: limitSchema, before: revisionNumberSchema.optional() }),
    },
    responses: {
      200: json(
        z.object({
          /** Signed for this answer; null when nothing was ever done. */
          head: checkpointSchema.nullable(),
          items: z.array(checkpointSchema),
        }),
        'The head of the trail now, and kept checkpoints, newest first',
      ),
      ...problems(),
    },
  }),
}

export function auditRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
  const { db } = deps.database
  app.openapi(routes.events, async (c) => {
    const { limit, before, after } = c.req.valid('query')
    const items =
      after === undefined
        ? await listAuditEvents(db, { limit, before })
        : await listAuditEventsAfter(db, { limit, after })
    return c.json({ items }, 200)
  })
  app.openapi(routes.checkpoints, async (c) => {
    const { limit, before } = c.req.valid('query')
    const head = await signHead(deps)
    const items = await listCheckpoints(db, { limit, before })
    return c.json(
      { head: head === undefined ? null : checkpointOf(head), items: items.map(checkpointOf) },
      200,
    )
  })
}

function checkpointOf({ number, hash, at, jws }: SignedCheckpoint) {
  return { number, hash, at: at.toISOString(), jws }
}
