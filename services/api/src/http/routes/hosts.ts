/** Hosts: what is published for each and what its agent says, and the state itself in three forms. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import {
  capabilitiesSchema,
  pathReportSchema,
  hostPartSchema,
  judgeSkew,
  roleSchema,
  serviceStateSchema,
  STATE_MEDIA_TYPE,
  stateEtag,
  statusReportSchema,
  type Role,
} from '@lvs-fleet/contract'
import { ApiError } from '../../errors.ts'
import { nameSchema } from '../../intent/shared-fields.ts'
import { RENDER_FORMATS, renderHost, type RenderFormat } from '../../render/render-host.ts'
import { CONDITION_TYPES } from '../../status/conditions.ts'
import type { PublishedState } from '../../store/state-store.ts'
import type { Deps } from '../../verbs/deps.ts'
import { stateDocument } from '../../verbs/fetch-state.ts'
import { readState } from '../../verbs/host-changes.ts'
import { findHostView, findPublished, listHosts, type HostView } from '../../verbs/read-hosts.ts'
import { releaseHost } from '../../verbs/release-host.ts'
import { revokeHost } from '../../verbs/revoke-host.ts'
import { checkHostScope } from '../../verbs/enrol-scope.ts'
import { authorOf, type AppEnv } from '../app-env.ts'
import { cursorSchema, json, limitSchema, page, problems } from '../contract.ts'
import { sendDocument } from '../document-stream.ts'

const hostStateSchema = hostPartSchema.extend({ services: z.array(serviceStateSchema) })
const hostParam = z.object({ role: roleSchema, name: nameSchema })
const versionSchema = z.object({ epoch: z.int(), generation: z.int(), digest: z.string() })

const hostSchema = z
  .object({
    role: roleSchema,
    name: z.string(),
    site: z.string(),
    id: z.string(),
    published: versionSchema.extend({
      services: z.int(),
      destinations: z.int(),
      revision: z.int(),
      publishedAt: z.string(),
    }),
    applied: versionSchema.nullable(),
    enrolment: z
      .object({ thumbprint: z.string(), machineId: z.string(), enrolledAt: z.string() })
      .nullable(),
    conditions: z.array(
      z.object({ type: z.enum(CONDITION_TYPES), status: z.boolean(), message: z.string() }),
    ),
    /** Version of its agent, and whether that and this API work together; null until it reported. */
    agent: z
      .object({ version: z.string(), supported: z.boolean(), reason: z.string().nullable() })
      .nullable(),
    /** What its kernel can, found by trying; null until its agent said so. */
    capabilities: capabilitiesSchema.nullable(),
    /** Whether its paths to real servers carry the MTU that was computed for them; null where none was measured. */
    paths: pathReportSchema.nullable(),
    reportReceivedAt: z.string().nullable(),
  })
  .openapi('Host')

const listRoute = createRoute({
  method: 'get',
  path: '/v1/hosts',
  tags: ['host'],
  request: {
    query: z.strictObject({
      limit: limitSchema,
      cursor: cursorSchema.optional(),
      role: roleSchema.optional(),
      site: nameSchema.optional(),
    }),
  },
  responses: {
    200: json(
      z.object({ items: z.array(hostSchema), nextCursor: z.string().nullable() }),
      'Directors, then real servers, by name',
    ),
    ...problems(),
  },
})

const getRoute = createRoute({
  method: 'get',
  path: '/v1/hosts/{role}/{name}',
  tags: ['host'],
  request: { params: hostParam },
  responses: {
    200: json(hostSchema.extend({ report: statusReportSchema.nullable() }), 'With its last report'),
    ...problems(404),
  },
})

const stateRoute = createRoute({
  method: 'get',
  path: '/v1/hosts/{role}/{name}/state',
  tags: ['host'],
  request: { params: hostParam },
  responses: { 200: json(hostStateSchema, 'The host state as JSON'), ...problems(404) },
})

const documentRoute = createRoute({
  method: 'get',
  path: '/v1/hosts/{role}/{name}/document',
  tags: ['host'],
  request: { params: hostParam },
  responses: {
    200: {
      description: 'The signed state document, whole: for `apply FILE` on the host',
      content: { [STATE_MEDIA_TYPE]: { schema: z.string() } },
    },
    ...problems(404),
  },
})

const scriptRoute = createRoute({
  method: 'get',
  path: '/v1/hosts/{role}/{name}/script',
  tags: ['host'],
  request: {
    params: hostParam,
    query: z.object({ format: z.enum(RENDER_FORMATS).default('shell') }),
  },
  responses: {
    200: {
      description:
        'The host state for hosts without an agent: a shell script, cloud-init user data, or a script that writes files for systemd-networkd',
      content: {
        'text/x-shellscript': { schema: z.string() },
        'text/cloud-config': { schema: z.string() },
      },
    },
    ...problems(404, 409),
  },
})

const revokeRoute = createRoute({
  method: 'post',
  path: '/v1/hosts/{role}/{name}/revoke',
  tags: ['host'],
  request: { params: hostParam },
  responses: {
    204: { description: 'Its identity is revoked; its name may be enrolled anew' },
    ...problems(404),
  },
})

const releaseRoute = createRoute({
  method: 'post',
  path: '/v1/hosts/{role}/{name}/release',
  tags: ['host'],
  request: { params: hostParam },
  responses: {
    204: { description: 'Out of quarantine: who holds its key and comes first goes on' },
    ...problems(404),
  },
})

const SCRIPT_TYPES: Readonly<Record<RenderFormat, string>> = {
  shell: 'text/x-shellscript',
  'cloud-init': 'text/cloud-config',
  networkd: 'text/x-shellscript',
}

export function hostRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
  app.openapi(listRoute, async (c) => {
    const query = c.req.valid('query')
    const { items, nextCursor } = page(
      await listHosts(deps, query),
      ({ role, name }) => `${role}/${name}`,
      query,
    )
    return c.json({ items: items.map(hostOf), nextCursor }, 200)
  })
  app.openapi(getRoute, async (c) => {
    const { role, name } = c.req.valid('param')
    const view = await findHostView(deps, role, name)
    if (view === undefined) throw noHost(role, name)
    return c.json({ ...hostOf(view), report: view.report }, 200)
  })
  app.openapi(stateRoute, async (c) => {
    const { role, name } = c.req.valid('param')
    const state = published(deps, role, name)
    c.header('etag', stateEtag(state))
    const { services, ...host } = await readState(deps.database.db, state)
    return c.json({ ...host, services: [...services] }, 200)
  })
  app.openapi(documentRoute, async (c) => {
    const { role, name } = c.req.valid('param')
    const state = published(deps, role, name)
    return sendDocument(c, await stateDocument(deps, state))
  })
  app.openapi(scriptRoute, async (c) => {
    const { role, name } = c.req.valid('param')
    const state = published(deps, role, name)
    c.header('etag', stateEtag(state))
    const { format } = c.req.valid('query')
    const rendered = renderHost({ name, role }, await readState(deps.database.db, state), format)
    if (!rendered.ok) throw new ApiError('conflict', rendered.why)
    c.header('content-type', `${SCRIPT_TYPES[format]}; charset=utf-8`)
    return c.body(rendered.text, 200)
  })
  app.openapi(releaseRoute, async (c) => {
    const { actor, scope } = authorOf(c)
    const host = c.req.valid('param')
    checkHostScope(deps, scope, host)
    await releaseHost(deps, actor, host)
    return c.body(null, 204)
  })
  app.openapi(revokeRoute, async (c) => {
    const { actor, scope } = authorOf(c)
    const host = c.req.valid('param')
    checkHostScope(deps, scope, host)
    await revokeHost(deps, actor, host)
    return c.body(null, 204)
  })
}

function published(deps: Deps, role: Role, name: string): PublishedState {
  const state = findPublished(deps, role, name)
  if (state === undefined) throw noHost(role, name)
  return state
}

function noHost(role: Role, name: string): ApiError {
  return new ApiError('not-found', `there is no ${role} named ${name}`)
}

function agentOf(version: string) {
  const skew = judgeSkew(version)
  return { version, supported: skew.supported, reason: skew.supported ? null : skew.reason }
}

function hostOf(view: HostView): z.input<typeof hostSchema> {
  const { published: state, identity } = view
  return {
    role: view.role,
    name: view.name,
    site: view.site,
    id: state.objectId,
    published: {
      epoch: state.epoch,
      generation: state.generation,
      digest: state.digest,
      services: state.serviceCount,
      destinations: state.destinationCount,
      revision: state.revision,
      publishedAt: state.publishedAt.toISOString(),
    },
    applied: view.report?.applied ?? null,
    enrolment:
      identity === null
        ? null
        : {
            thumbprint: identity.thumbprint,
            machineId: identity.machineId,
            enrolledAt: identity.enrolledAt.toISOString(),
          },
    conditions: [...view.conditions],
    agent: view.report === null ? null : agentOf(view.report.agentVersion),
    capabilities: view.report?.capabilities ?? null,
    paths: view.report?.paths ?? null,
    reportReceivedAt: view.reportReceivedAt?.toISOString() ?? null,
  }
}
