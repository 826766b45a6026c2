/** Which hosts may come in: join tokens. Operators' API keys are in `api-keys.ts`. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { roleSchema } from '@lvs-fleet/contract'
import { APPROVALS, approvalSchema } from '../../identity/match-rules.ts'
import { labelsSchema, nameSchema } from '../../intent/shared-fields.ts'
import { listJoinTokens, type JoinToken } from '../../store/token-store.ts'
import type { Deps } from '../../verbs/deps.ts'
import { checkJoinTokenScope, checkSiteScope, visibleJoinTokens } from '../../verbs/enrol-scope.ts'
import { createJoinToken, endJoinToken } from '../../verbs/join-tokens.ts'
import { authorOf, type AppEnv } from '../app-env.ts'
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

const limitQuery = z.strictObject({ limit: limitSchema })
const list = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item) })
const paths = { tokens: '/v1/join-tokens' } as const

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
}

export function accessRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
  const { db } = deps.database
  app.openapi(routes.createToken, async (c) => {
    checkSiteScope(authorOf(c).scope, c.req.valid('json').site)
    const { token, secret } = await createJoinToken(
      deps,
      c.get('operator').actor,
      c.req.valid('json'),
    )
    return c.json({ ...joinTokenOf(token), token: secret }, 201)
  })
  app.openapi(routes.listTokens, async (c) => {
    const tokens = await listJoinTokens(db, c.req.valid('query').limit)
    return c.json({ items: visibleJoinTokens(authorOf(c).scope, tokens).map(joinTokenOf) }, 200)
  })
  app.openapi(routes.revokeToken, async (c) => {
    await checkJoinTokenScope(deps, authorOf(c).scope, c.req.valid('param').id)
    const token = await endJoinToken(deps, c.get('operator').actor, c.req.valid('param').id)
    return c.json(joinTokenOf(token), 200)
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
