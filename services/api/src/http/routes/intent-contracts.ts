/** The route contracts of one kind of intent; their fields come from the kind's schema. */
import { createRoute, z } from '@hono/zod-openapi'
import { serviceExplanationSchema } from '@lvs-fleet/contract'
import { BODY_SCHEMAS, KIND_PATHS, type Kind } from '../../intent/kinds.ts'
import {
  cursorSchema,
  forceQuery,
  ifMatchHeader,
  json,
  jsonBody,
  limitSchema,
  preconditionHeaders,
  problems,
  writeQuery,
} from '../contract.ts'
import { outcomeSchema } from '../outcome.ts'

const nameParam = z.object({ name: z.string().max(63) })
export const SERVER_FIELDS = ['id', 'version', 'revision', 'createdAt', 'updatedAt'] as const

const serverFields = {
  id: z.string(),
  version: z.int(),
  revision: z.int(),
  createdAt: z.string(),
  updatedAt: z.string(),
}

const listQuery = z.strictObject({
  limit: limitSchema,
  cursor: cursorSchema.optional(),
  /** Names that start so. */
  name: z.string().max(63).optional(),
  /** `key=value`; more than one must all hold. */
  label: z
    .union([z.string(), z.array(z.string())])
    .transform((one) => [one].flat())
    .pipe(z.array(z.string().regex(/^[^=]+=/, { error: 'must be key=value' })).max(32))
    .optional(),
  /** Of this site; virtual services: carried by this site. */
  site: z.string().max(63).optional(),
})

/** The contracts of one kind. Its own schema is known at run time only, so its fields are not typed here. */
export function intentContracts(kind: Kind) {
  const path = `/v1/${KIND_PATHS[kind]}` as const
  const one = `${path}/{name}` as const
  const body: z.ZodObject = BODY_SCHEMAS[kind]
  const resource = z.looseObject({ name: z.string(), ...serverFields })
  const input = body.extend({
    name: z.string().optional(),
    ...z.object(serverFields).partial().shape,
  })
  const patch = z.record(z.string(), z.unknown())
  const tags = [kind]
  return {
    list: createRoute({
      method: 'get',
      path,
      tags,
      request: { query: listQuery },
      responses: {
        200: json(
          z.object({ items: z.array(resource), nextCursor: z.string().nullable() }),
          'By name',
        ),
        ...problems(),
      },
    }),
    get: createRoute({
      method: 'get',
      path: one,
      tags,
      request: { params: nameParam },
      responses: { 200: json(resource, 'ETag is its version'), ...problems(404) },
    }),
    put: createRoute({
      method: 'put',
      path: one,
      tags,
      request: {
        params: nameParam,
        headers: preconditionHeaders,
        query: z.strictObject({ ...writeQuery, ...forceQuery }),
        body: jsonBody(input),
      },
      responses: {
        200: json(z.union([resource, outcomeSchema]), 'Replaced; with dryRun: what it would do'),
        201: json(resource, 'Created'),
        ...problems(409, 412, 413, 415, 422, 428),
      },
    }),
    patch: createRoute({
      method: 'patch',
      path: one,
      tags,
      request: {
        params: nameParam,
        headers: ifMatchHeader,
        query: z.strictObject({ ...writeQuery, ...forceQuery }),
        body: {
          required: true,
          content: {
            'application/merge-patch+json': { schema: patch },
            'application/json': { schema: patch },
          },
        },
      },
      responses: {
        200: json(
          z.union([resource, outcomeSchema]),
          'Merged (RFC 7396); with dryRun: what it would do',
        ),
        ...problems(404, 409, 412, 413, 415, 422, 428),
      },
    }),
    remove: createRoute({
      method: 'delete',
      path: one,
      tags,
      request: { params: nameParam, headers: ifMatchHeader, query: z.strictObject(writeQuery) },
      responses: {
        200: json(outcomeSchema, 'Removed; with dryRun: what it would do'),
        ...problems(404, 409, 412),
      },
    }),
  }
}

export const explainContract = createRoute({
  method: 'get',
  path: '/v1/virtual-services/{name}/explain',
  tags: ['virtual-service'],
  request: { params: nameParam },
  responses: {
    200: json(serviceExplanationSchema, 'How each director reaches each real server, and why'),
    ...problems(404),
  },
})
