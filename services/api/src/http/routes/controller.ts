/** This API itself: who it is, a new epoch, and the audit trail of all that was done. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { publicKeySchema } from '@lvs-fleet/contract'
import { listAuditEvents } from '../../store/controller-store.ts'
import { bumpEpoch } from '../../verbs/bump-epoch.ts'
import type { Deps } from '../../verbs/deps.ts'
import { announceKey, retireKey, switchKey } from '../../verbs/rotate-controller-key.ts'
import type { AppEnv } from '../app-env.ts'
import { json, limitSchema, problems, revisionNumberSchema } from '../contract.ts'

const controllerSchema = z.object({
  name: z.string(),
  revision: z.int(),
  epoch: z.int(),
  /** Those that agents are told to trust. */
  keys: z.array(publicKeySchema),
  /** Grows with each change of them. */
  keySerial: z.int(),
  /** Thumbprint of the one that signs. */
  signing: z.string(),
})

const routes = {
  controller: createRoute({
    method: 'get',
    path: '/v1/controller',
    tags: ['controller'],
    responses: {
      200: json(
        controllerSchema,
        'This API: its name, the newest revision, the keys that sign states',
      ),
      ...problems(),
    },
  }),
  newEpoch: createRoute({
    method: 'post',
    path: '/v1/controller/new-epoch',
    tags: ['controller'],
    responses: {
      200: json(controllerSchema, 'Every state is published anew: for after a restore from backup'),
      ...problems(),
    },
  }),
  rotateKey: createRoute({
    method: 'post',
    path: '/v1/controller/keys/{step}',
    tags: ['controller'],
    request: { params: z.object({ step: z.enum(['announce', 'switch', 'retire']) }) },
    responses: {
      200: json(
        controllerSchema,
        'Announce the next key to agents, then sign with it, then retire the old one',
      ),
      ...problems(404, 409),
    },
  }),
  listAudit: createRoute({
    method: 'get',
    path: '/v1/audit-events',
    tags: ['access'],
    request: {
      query: z.strictObject({ limit: limitSchema, before: revisionNumberSchema.optional() }),
    },
    responses: {
      200: json(
        z.object({
          items: z.array(
            z.object({
              number: z.int(),
              at: z.string(),
              actor: z.string(),
              action: z.string(),
              subject: z.string(),
              revision: z.int().nullable(),
              detail: z.record(z.string(), z.unknown()),
            }),
          ),
        }),
        'Newest first',
      ),
      ...problems(),
    },
  }),
}

export function controllerRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
  const { db } = deps.database
  app.openapi(routes.controller, (c) => c.json(controllerOf(deps), 200))
  app.openapi(routes.newEpoch, async (c) => {
    await bumpEpoch(deps, c.get('operator').actor)
    return c.json(controllerOf(deps), 200)
  })
  app.openapi(routes.rotateKey, async (c) => {
    const steps = { announce: announceKey, switch: switchKey, retire: retireKey }
    await steps[c.req.valid('param').step](deps, c.get('operator').actor)
    return c.json(controllerOf(deps), 200)
  })
  app.openapi(routes.listAudit, async (c) => {
    const { limit, before } = c.req.valid('query')
    const events = await listAuditEvents(db, { limit, before })
    return c.json({ items: events.map((event) => ({ ...event, at: event.at.toISOString() })) }, 200)
  })
}

function controllerOf(deps: Deps) {
  const { revision, epoch } = deps.live.snapshot
  const { controllerKeys, keySerial } = deps.controllerKeys.trusted()
  return {
    name: deps.name,
    revision,
    epoch,
    keys: controllerKeys,
    keySerial,
    signing: deps.controllerKeys.signer.thumbprint,
  }
}
