/** Who may come in: join tokens for hosts, API keys for operators. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { roleSchema } from '@lvs-fleet/contract'
import { APPROVALS, approvalSchema } from '../../identity/match-rules.ts'
import { labelsSchema, nameSchema } from '../../intent/shared-fields.ts'
import {
  API_KEY_ROLES,
  listApiKeys,
  listJoinTokens,
  type ApiKey,
  type JoinToken,
} from '../../store/token-store.ts'
import { createApiKey, endApiKey } from '../../verbs/api-keys.ts'
import type { Deps } from '../../verbs/deps.ts'
import { createJoinToken, endJoinToken } from '../../verbs/join-tokens.ts'
import type { AppEnv } from '../app-env.ts'
import { json, jsonBody, limitSchema, problems } from '../contract.ts'

const DAY_SECONDS = 86_400
const idParam = z.object({ id: z.string().regex(/^[0-9a-f]{12}$/, { error: 'is no such id' }) })

const joinTokenSchema = z
  .object({
    id: z.string(),
    role: roleSchema,
    site: z.string(),
    name: z.string().nullable(),
    labels: z.record(z.string(), z.string()),
    approval: z.enum(APPROVALS),
    replaces: z.boolean(),
    maxUses: z.int(),
    uses: z.int(),
    createdBy: z.string(),
    createdAt: z.string(),
    expiresAt: z.string(),
    revokedAt: z.string().nullable(),
  })
  .openapi('JoinToken')

const newJoinToken = z.strictObject({
  role: roleSchema,
  site: nameSchema,
  /** null = any name of that site. */
  name: nameSchema.nullable().default(null),
  /** For the director or real server, where enrolment creates it. */
  labels: labelsSchema,
  /** `manual`: a person lets each host in. */
  approval: approvalSchema,
  /** The host may take the name of one that is enrolled, whose identity is then revoked: after a re-install. */
  replaces: z.boolean().default(false),
  ttlSeconds: z.int().min(60).max(DAY_SECONDS).default(3_600),
  maxUses: z.int().min(1).max(1_000).default(1),
})

const apiKeySchema = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.enum(API_KEY_ROLES),
    createdAt: z.string(),
    expiresAt: z.string().nullable(),
    revokedAt: z.string().nullable(),
    lastUsedAt: z.string().nullable(),
  })
  .openapi('ApiKey')

const newApiKey = z.strictObject({
  name: nameSchema,
  role: z.enum(API_KEY_ROLES),
  /** null = does not expire. */
  ttlSeconds: z
    .int()
    .min(60)
    .max(10 * 366 * DAY_SECONDS)
    .nullable()
    .default(90 * DAY_SECONDS),
})

const limitQuery = z.strictObject({ limit: limitSchema })
const list = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item) })
const paths = {
  tokens: '/v1/join-tokens',
  keys: '/v1/api-keys',
  controller: '/v1/controller',
} as const

const routes = {
  createToken: createRoute({
    method: 'post',
    path: paths.tokens,
    tags: ['access'],
    request: { body: jsonBody(newJoinToken) },
    responses: {
      201: json(joinTokenSchema.extend({ token: z.string() }), 'The secret is told only here'),
      ...problems(413, 415, 422),
    },
  }),
  listTokens: createRoute({
    method: 'get',
    path: paths.tokens,
    tags: ['access'],
    request: { query: limitQuery },
    responses: { 200: json(list(joinTokenSchema), 'Newest first'), ...problems() },
  }),
  revokeToken: createRoute({
    method: 'delete',
    path: `${paths.tokens}/{id}`,
    tags: ['access'],
    request: { params: idParam },
    responses: { 200: json(joinTokenSchema, 'Revoked'), ...problems(404) },
  }),
  createKey: createRoute({
    method: 'post',
    path: paths.keys,
    tags: ['access'],
    request: { body: jsonBody(newApiKey) },
    responses: {
      201: json(apiKeySchema.extend({ key: z.string() }), 'The secret is told only here'),
      ...problems(413, 415, 422),
    },
  }),
  listKeys: createRoute({
    method: 'get',
    path: paths.keys,
    tags: ['access'],
    request: { query: limitQuery },
    responses: { 200: json(list(apiKeySchema), 'Newest first'), ...problems() },
  }),
  revokeKey: createRoute({
    method: 'delete',
    path: `${paths.keys}/{id}`,
    tags: ['access'],
    request: { params: idParam },
    responses: { 200: json(apiKeySchema, 'Revoked'), ...problems(404, 409) },
  }),
}

export function accessRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
  const { db } = deps.database
  app.openapi(routes.createToken, async (c) => {
    const { token, secret } = await createJoinToken(
      deps,
      c.get('operator').actor,
      c.req.valid('json'),
    )
    return c.json({ ...joinTokenOf(token), token: secret }, 201)
  })
  app.openapi(routes.listTokens, async (c) =>
    c.json({ items: (await listJoinTokens(db, c.req.valid('query').limit)).map(joinTokenOf) }, 200),
  )
  app.openapi(routes.revokeToken, async (c) => {
    const token = await endJoinToken(deps, c.get('operator').actor, c.req.valid('param').id)
    return c.json(joinTokenOf(token), 200)
  })
  app.openapi(routes.createKey, async (c) => {
    const { key, secret } = await createApiKey(deps, c.get('operator').actor, c.req.valid('json'))
    return c.json({ ...apiKeyOf(key), key: secret }, 201)
  })
  app.openapi(routes.listKeys, async (c) =>
    c.json({ items: (await listApiKeys(db, c.req.valid('query').limit)).map(apiKeyOf) }, 200),
  )
  app.openapi(routes.revokeKey, async (c) => {
    const key = await endApiKey(deps, c.get('operator').actor, c.req.valid('param').id)
    return c.json(apiKeyOf(key), 200)
  })
}

/** Everything but the hash of the secret. */
function joinTokenOf(token: JoinToken) {
  const { id, role, site, name, labels, approval, replaces, maxUses, uses, createdBy } = token
  return {
    id,
    role,
    site,
    name,
    labels: { ...labels },
    approval,
    replaces,
    maxUses,
    uses,
    createdBy,
    createdAt: token.createdAt.toISOString(),
    expiresAt: token.expiresAt.toISOString(),
    revokedAt: token.revokedAt?.toISOString() ?? null,
  }
}

/** Everything but the hash of the secret. */
function apiKeyOf(key: ApiKey) {
  const { id, name, role } = key
  return {
    id,
    name,
    role,
    createdAt: key.createdAt.toISOString(),
    expiresAt: key.expiresAt?.toISOString() ?? null,
    revokedAt: key.revokedAt?.toISOString() ?? null,
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
  }
}
