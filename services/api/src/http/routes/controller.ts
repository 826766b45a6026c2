/** This API itself: who it is, and a new epoch. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { publicKeySchema } from '@lvs-fleet/contract'
import { bumpEpoch } from '../../verbs/bump-epoch.ts'
import type { Deps } from '../../verbs/deps.ts'
import type { AppEnv } from '../app-env.ts'
import { json, problems } from '../contract.ts'

const controllerSchema = z.object({
  name: z.string(),
  revision: z.int(),
  epoch: z.int(),
  keys: z.array(publicKeySchema),
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
}

export function controllerRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
  app.openapi(routes.controller, (c) => c.json(controllerOf(deps), 200))
  app.openapi(routes.newEpoch, async (c) => {
    await bumpEpoch(deps, c.get('operator').actor)
    return c.json(controllerOf(deps), 200)
  })
}

function controllerOf(deps: Deps) {
  const { revision, epoch } = deps.live.snapshot
  return { name: deps.name, revision, epoch, keys: [deps.signer.publicKey] }
}
