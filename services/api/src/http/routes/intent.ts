/**
 * The seven kinds of intent, each with the same calls. A resource is what the operator wrote with its `name`,
 * plus what the server knows: id, version (its ETag), revision and times. Those five may come back in a PUT
 * and are not written; a `version` that comes back counts as If-Match.
 */
import { z, type OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { explainVirtualService } from '../../compile/explain/virtual-service.ts'
import { ApiError } from '../../errors.ts'
import { bodyToDocument } from '../../intent/fleet.ts'
import { KINDS, type Kind } from '../../intent/kinds.ts'
import type { StoredObject } from '../../store/intent-store.ts'
import { deleteObject } from '../../verbs/delete-object.ts'
import type { Deps } from '../../verbs/deps.ts'
import { listObjects } from '../../verbs/list-objects.ts'
import { objectKey } from '../../verbs/live-fleet.ts'
import {
  patchObject,
  putObject,
  type ObjectWrite,
  type ObjectWritten,
} from '../../verbs/put-object.ts'
import { authorOf, type AppEnv } from '../app-env.ts'
import { page, parsePrecondition } from '../contract.ts'
import { outcomeOf } from '../outcome.ts'
import { explainContract, intentContracts, SERVER_FIELDS } from './intent-contracts.ts'

export function intentRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
  for (const kind of KINDS) kindRoutes(app, deps, kind)
  app.openapi(explainContract, (c) => {
    const { name } = c.req.valid('param')
    const { fleet, revision } = deps.live.snapshot
    findObject(deps, 'virtual-service', name)
    const choices = explainVirtualService(fleet, name).map((choice) => ({
      ...choice,
      weightReasons: [...choice.weightReasons],
      passedOver: [...choice.passedOver],
    }))
    return c.json({ name, revision, choices }, 200)
  })
}

function kindRoutes(app: OpenAPIHono<AppEnv>, deps: Deps, kind: Kind): void {
  const routes = intentContracts(kind)
  app.openapi(routes.list, (c) => {
    const query = c.req.valid('query')
    const { items, nextCursor } = page(
      listObjects(deps.live.snapshot, kind, query),
      ({ name }) => name,
      query,
    )
    return c.json({ items: items.map(resourceOf), nextCursor }, 200)
  })
  app.openapi(routes.get, (c) => {
    const object = findObject(deps, kind, c.req.valid('param').name)
    c.header('etag', `"${object.version}"`)
    return c.json(resourceOf(object), 200)
  })
  app.openapi(routes.put, async (c) => {
    const { dryRun } = c.req.valid('query')
    const written = await putObject(
      deps,
      await readWrite(c, kind, c.req.valid('query'), c.req.valid('header')),
    )
    if (dryRun) return c.json(outcomeOf(written.published, true), 200)
    answerHeaders(c, written)
    return written.isCreated
      ? c.json(resourceOf(written.object), 201)
      : c.json(resourceOf(written.object), 200)
  })
  app.openapi(routes.patch, async (c) => {
    const { dryRun } = c.req.valid('query')
    const written = await patchObject(
      deps,
      await readWrite(c, kind, c.req.valid('query'), c.req.valid('header')),
    )
    if (dryRun) return c.json(outcomeOf(written.published, true), 200)
    answerHeaders(c, written)
    return c.json(resourceOf(written.object), 200)
  })
  app.openapi(routes.remove, async (c) => {
    const { dryRun, allowShrink } = c.req.valid('query')
    const published = await deleteObject(deps, {
      ...authorOf(c),
      kind,
      name: c.req.valid('param').name,
      precondition: parsePrecondition(c.req.valid('header'), false, undefined),
      dryRun,
      allowShrink,
    })
    return c.json(outcomeOf(published, dryRun), 200)
  })
}

/** The body as it was written: the verb parses it with the name, after it has looked at the precondition. */
async function readWrite(
  c: Context<AppEnv>,
  kind: Kind,
  query: { readonly dryRun: boolean; readonly allowShrink: boolean; readonly force: boolean },
  headers: {
    readonly 'if-match'?: string | undefined
    readonly 'if-none-match'?: string | undefined
  },
): Promise<ObjectWrite> {
  const name = c.req.param('name') ?? ''
  const written = z.record(z.string(), z.unknown()).parse(await c.req.json())
  if (written['name'] !== undefined && written['name'] !== name) {
    const message = `must be ${name}, as in the path, or be left out: an object cannot be renamed`
    throw new ApiError('invalid-body', `/name: ${message}`, {
      errors: [{ pointer: '/name', code: 'name-mismatch', message }],
    })
  }
  const leftOut = new Set<string>(['name', ...SERVER_FIELDS])
  const body = Object.fromEntries(Object.entries(written).filter(([key]) => !leftOut.has(key)))
  const { dryRun, allowShrink, force } = query
  const precondition = parsePrecondition(headers, force, written['version'])
  return { ...authorOf(c), kind, name, body, precondition, dryRun, allowShrink }
}

function answerHeaders(c: Context<AppEnv>, written: ObjectWritten): void {
  c.header('etag', `"${written.object.version}"`)
  c.header('lvs-revision', String(written.published.revision))
}

function findObject(deps: Deps, kind: Kind, name: string): StoredObject {
  const object = deps.live.snapshot.objects.get(objectKey(kind, name))
  if (object === undefined) throw new ApiError('not-found', `there is no ${kind} named ${name}`)
  return object
}

function resourceOf(object: StoredObject) {
  return {
    ...bodyToDocument(object.spec),
    name: object.name,
    id: object.id,
    version: object.version,
    revision: object.revision,
    createdAt: object.createdAt.toISOString(),
    updatedAt: object.updatedAt.toISOString(),
  }
}
