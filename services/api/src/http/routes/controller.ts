/** This API itself: who it is, and a new epoch. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { publicKeySchema } from '@lvs-fleet/contract'
import { bumpEpoch } from '../../verbs/bump-epoch.ts'
import type { Deps } from '../../verbs/deps.ts'
import { announceKey, retireKey, switchKey } from '../../verbs/rotate-controller-key.ts'
import type { AppEnv } from '../app-env.ts'
import { json, problems } from '../contract.ts'

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
}

export function controllerRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
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
