/** API keys of operators: made, listed, rotated, revoked. A secret is told once, by the call that makes it, and never again. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { grantFields, grantProblem, OPERATOR_ROLES } from '../../access/grant.ts'
import { nameSchema } from '../../intent/shared-fields.ts'
import type { ApiKey } from '../../store/token-store.ts'
import { createApiKey, endApiKey, rotateApiKey, visibleApiKeys } from '../../verbs/api-keys.ts'
import type { Deps } from '../../verbs/deps.ts'
import type { AppEnv } from '../app-env.ts'
import { json, jsonBody, limitSchema, problems } from '../contract.ts'

const DAY_SECONDS = 86_400
const idParam = z.object({ id: z.string().regex(/^[0-9a-f]{12}$/, { error: 'is no such id' }) })

const apiKeySchema = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.enum(OPERATOR_ROLES),
    sites: z.array(z.string()).nullable(),
    labels: z.record(z.string(), z.string()).nullable(),
    createdAt: z.string(),
    expiresAt: z.string().nullable(),
    revokedAt: z.string().nullable(),
    lastUsedAt: z.string().nullable(),
  })
  .openapi('ApiKey')
const withSecret = apiKeySchema.extend({ key: z.string() })

/** Left out: 90 days, or as long as the key that asks. */
const ttlSchema = z
  .int()
  .min(60)
  .max(366 * DAY_SECONDS)
  .optional()

const newApiKey = z
  .strictObject({ name: nameSchema, ...grantFields, ttlSeconds: ttlSchema })
  .superRefine((key, ctx) => {
    const problem = grantProblem(key)
    if (problem !== undefined)
      ctx.addIssue({ code: 'custom', path: [problem.field], message: problem.message })
  })

const rotation = z.strictObject({
  /** How long the old secret goes on; 0 = it ends now. */
  graceSeconds: z
    .int()
    .min(0)
    .max(7 * DAY_SECONDS)
    .default(3_600),
  ttlSeconds: ttlSchema,
})

const keys = '/v1/api-keys'
const tags = ['access']

const routes = {
  create: createRoute({
    method: 'post',
    path: keys,
    tags,
    request: { body: jsonBody(newApiKey) },
    responses: {
      201: json(withSecret, 'The secret is told only here'),
      ...problems(413, 415, 422),
    },
  }),
  list: createRoute({
    method: 'get',
    path: keys,
    tags,
    request: { query: z.strictObject({ limit: limitSchema }) },
    responses: {
      200: json(
        z.object({ items: z.array(apiKeySchema) }),
        'Newest first; those that one could have made',
      ),
      ...problems(),
    },
  }),
  rotate: createRoute({
    method: 'post',
    path: `${keys}/{id}/rotate`,
    tags,
    request: { params: idParam, body: jsonBody(rotation) },
    responses: {
      201: json(
        withSecret,
        'A new key of the same name and role; the old one ends after the grace',
      ),
      ...problems(404, 409, 413, 415, 422),
    },
  }),
  revoke: createRoute({
    method: 'delete',
    path: `${keys}/{id}`,
    tags,
    request: { params: idParam },
    responses: { 200: json(apiKeySchema, 'Revoked'), ...problems(404, 409) },
  }),
}

export function apiKeyRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
  app.openapi(routes.create, async (c) => {
    const wanted = c.req.valid('json')
    const { key, secret } = await createApiKey(deps, c.get('operator'), {
      ...wanted,
      ttlSeconds: wanted.ttlSeconds,
    })
    return c.json({ ...apiKeyOf(key), key: secret }, 201)
  })
  app.openapi(routes.list, async (c) => {
    const found = await visibleApiKeys(deps, c.get('operator'), c.req.valid('query').limit)
    return c.json({ items: found.map(apiKeyOf) }, 200)
  })
  app.openapi(routes.rotate, async (c) => {
    const { id } = c.req.valid('param')
    const { key, secret } = await rotateApiKey(deps, c.get('operator'), {
      id,
      ...c.req.valid('json'),
    })
    return c.json({ ...apiKeyOf(key), key: secret }, 201)
  })
  app.openapi(routes.revoke, async (c) => {
    const key = await endApiKey(deps, c.get('operator'), c.req.valid('param').id)
    return c.json(apiKeyOf(key), 200)
  })
}

/** Everything but the hash of the secret. */
function apiKeyOf(key: ApiKey): z.input<typeof apiKeySchema> {
  const { id, name, role, sites, labels } = key
  return {
    id,
    name,
    role,
    sites: sites === null ? null : [...sites],
    labels: labels === null ? null : { ...labels },
    createdAt: key.createdAt.toISOString(),
    expiresAt: key.expiresAt?.toISOString() ?? null,
    revokedAt: key.revokedAt?.toISOString() ?? null,
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
  }
}
