/** Who may enrol by an AWS identity, and who waits for a person to let them in. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { roleSchema } from '@lvs-fleet/contract'
import { mayEnrol } from '../../access/grant.ts'
import { ApiError } from '../../errors.ts'
import { enrolmentRuleSchema } from '../../identity/match-rules.ts'
import { nameSchema } from '../../intent/shared-fields.ts'
import {
  findRule,
  listPending,
  listRules,
  type PendingEnrolment,
  type StoredRule,
} from '../../store/enrolment-store.ts'
import { approveEnrolment, refuseEnrolment } from '../../verbs/decide-enrolment.ts'
import type { Deps } from '../../verbs/deps.ts'
import { deleteEnrolmentRule, putEnrolmentRule } from '../../verbs/enrolment-rules.ts'
import { checkPendingScope } from '../../verbs/enrol-scope.ts'
import { authorOf, type AppEnv } from '../app-env.ts'
import { json, jsonBody, problems } from '../contract.ts'

const ruleSchema = enrolmentRuleSchema
  .extend({ name: z.string(), createdAt: z.string(), updatedAt: z.string() })
  .openapi('EnrolmentRule')

const pendingSchema = z
  .object({
    id: z.string(),
    state: z.enum(['waiting', 'refused']),
    role: roleSchema,
    name: z.string(),
    site: z.string(),
    labels: z.record(z.string(), z.string()),
    addresses: z.array(z.string()),
    thumbprint: z.string(),
    machineId: z.string(),
    by: z.string(),
    evidence: z.record(z.string(), z.string()),
    createdAt: z.string(),
    expiresAt: z.string(),
  })
  .openapi('PendingEnrolment')

const ruleParam = z.object({ name: nameSchema })
const idParam = z.object({ id: z.uuid() })
const RULES = '/v1/enrolment-rules'
const PENDING = '/v1/pending-enrolments'

const routes = {
  listRules: createRoute({
    method: 'get',
    path: RULES,
    tags: ['access'],
    responses: { 200: json(z.object({ items: z.array(ruleSchema) }), 'By name'), ...problems() },
  }),
  getRule: createRoute({
    method: 'get',
    path: `${RULES}/{name}`,
    tags: ['access'],
    request: { params: ruleParam },
    responses: { 200: json(ruleSchema, 'The rule'), ...problems(404) },
  }),
  putRule: createRoute({
    method: 'put',
    path: `${RULES}/{name}`,
    tags: ['access'],
    request: { params: ruleParam, body: jsonBody(enrolmentRuleSchema) },
    responses: { 200: json(ruleSchema, 'Kept'), ...problems(413, 415, 422) },
  }),
  deleteRule: createRoute({
    method: 'delete',
    path: `${RULES}/{name}`,
    tags: ['access'],
    request: { params: ruleParam },
    responses: {
      204: { description: 'Gone; hosts that it let in stay' },
      ...problems(404),
    },
  }),
  listPending: createRoute({
    method: 'get',
    path: PENDING,
    tags: ['access'],
    responses: {
      200: json(z.object({ items: z.array(pendingSchema) }), 'Oldest first'),
      ...problems(),
    },
  }),
  approve: createRoute({
    method: 'post',
    path: `${PENDING}/{id}/approve`,
    tags: ['access'],
    request: { params: idParam },
    responses: {
      200: json(z.object({ role: roleSchema, name: z.string() }), 'It is a host of the fleet'),
      ...problems(404, 409, 422),
    },
  }),
  refuse: createRoute({
    method: 'post',
    path: `${PENDING}/{id}/refuse`,
    tags: ['access'],
    request: { params: idParam },
    responses: { 204: { description: 'Refused; its key stays out' }, ...problems(404) },
  }),
}

export function enrolmentRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
  const { db } = deps.database
  app.openapi(routes.listRules, async (c) =>
    c.json({ items: (await listRules(db)).map(ruleOf) }, 200),
  )
  app.openapi(routes.getRule, async (c) => {
    const { name } = c.req.valid('param')
    const rule = await findRule(db, name)
    if (rule === undefined) throw new ApiError('not-found', `there is no enrolment rule ${name}`)
    return c.json(ruleOf(rule), 200)
  })
  app.openapi(routes.putRule, async (c) => {
    const rule = { name: c.req.valid('param').name, spec: c.req.valid('json') }
    return c.json(ruleOf(await putEnrolmentRule(deps, c.get('operator').actor, rule)), 200)
  })
  app.openapi(routes.deleteRule, async (c) => {
    await deleteEnrolmentRule(deps, c.get('operator').actor, c.req.valid('param').name)
    return c.body(null, 204)
  })
  app.openapi(routes.listPending, async (c) => {
    const { scope } = authorOf(c)
    const waiting = await listPending(db, deps.now())
    const visible = waiting.filter(({ candidate }) => mayEnrol(scope, candidate.site))
    return c.json({ items: visible.map(pendingOf) }, 200)
  })
  app.openapi(routes.approve, async (c) => {
    const { id } = c.req.valid('param')
    const { actor, scope } = authorOf(c)
    await checkPendingScope(deps, scope, id)
    const { role, name } = await approveEnrolment(deps, actor, id)
    return c.json({ role, name }, 200)
  })
  app.openapi(routes.refuse, async (c) => {
    const { id } = c.req.valid('param')
    const { actor, scope } = authorOf(c)
    await checkPendingScope(deps, scope, id)
    await refuseEnrolment(deps, actor, id)
    return c.body(null, 204)
  })
}

function ruleOf({ name, spec, createdAt, updatedAt }: StoredRule) {
  return {
    ...spec,
    name,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  }
}

function pendingOf({ id, state, candidate, createdAt, expiresAt }: PendingEnrolment) {
  const { publicKey: _, replaces: __, ...shown } = candidate
  return {
    ...shown,
    id,
    state,
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
  }
}
