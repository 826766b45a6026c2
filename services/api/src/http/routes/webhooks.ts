/** Who is told of events: webhooks, and how far each has come. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import { nameSchema } from '../../intent/shared-fields.ts'
import { listWebhooks, type Webhook } from '../../store/webhook-store.ts'
import type { Deps } from '../../verbs/deps.ts'
import { changeWebhook, createWebhook } from '../../verbs/webhooks.ts'
import type { AppEnv } from '../app-env.ts'
import { json, jsonBody, problems } from '../contract.ts'
import { eventKindSchema, eventSeveritySchema } from './event-schemas.ts'

const WEEK_HOURS = 7 * 24

const webhookSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    url: z.string(),
    kinds: z.array(eventKindSchema).nullable(),
    severity: eventSeveritySchema,
    giveUpHours: z.int(),
    createdBy: z.string(),
    createdAt: z.string(),
    /** `failing`: the receiver did not take the last attempt; `gave-up`: nobody tries until it is resumed. */
    status: z.enum(['ok', 'failing', 'gave-up', 'paused']),
    /** Every event up to this one was taken, or is not for it. */
    deliveredId: z.int(),
    deliveredAt: z.string().nullable(),
    /** Events after that one; how many of them are for it is not counted. */
    behind: z.int(),
    attempts: z.int(),
    failingSince: z.string().nullable(),
    nextAttemptAt: z.string().nullable(),
    lastError: z.string().nullable(),
  })
  .openapi('Webhook')

const newWebhook = z.strictObject({
  name: nameSchema,
  /** https; http to this machine only. */
  url: z.string().min(1),
  /** null = every kind. */
  kinds: z.array(eventKindSchema).min(1).max(50).nullable().default(null),
  /** This one and worse. */
  severity: eventSeveritySchema.default('info'),
  /** How long one event is tried. */
  giveUpHours: z.int().min(1).max(WEEK_HOURS).default(24),
})

const idParam = z.object({ id: z.string().regex(/^[0-9a-f]{12}$/, { error: 'is no such id' }) })
const path = '/v1/webhooks'
const changed = (description: string) => ({
  200: json(webhookSchema, description),
  ...problems(404),
})

const routes = {
  create: createRoute({
    method: 'post',
    path,
    tags: ['events'],
    request: { body: jsonBody(newWebhook) },
    responses: {
      201: json(webhookSchema.extend({ secret: z.string() }), 'The secret is told only here'),
      ...problems(409, 413, 415, 422),
    },
  }),
  list: createRoute({
    method: 'get',
    path,
    tags: ['events'],
    request: { query: z.strictObject({}) },
    responses: { 200: json(z.object({ items: z.array(webhookSchema) }), 'By name'), ...problems() },
  }),
  remove: createRoute({
    method: 'delete',
    path: `${path}/{id}`,
    tags: ['events'],
    request: { params: idParam },
    responses: changed('Deleted'),
  }),
  pause: createRoute({
    method: 'post',
    path: `${path}/{id}/pause`,
    tags: ['events'],
    request: { params: idParam },
    responses: changed('Paused: it keeps its place'),
  }),
  resume: createRoute({
    method: 'post',
    path: `${path}/{id}/resume`,
    tags: ['events'],
    request: { params: idParam },
    responses: changed('Goes on where it stood, at once'),
  }),
}

export function webhookRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
  const shown = (webhook: Webhook) => webhookOf(webhook, deps.events.lastId)
  app.openapi(routes.create, async (c) => {
    const { actor } = c.get('operator')
    const { webhook, secret } = await createWebhook(deps, actor, c.req.valid('json'))
    return c.json({ ...shown(webhook), secret }, 201)
  })
  app.openapi(routes.list, async (c) => {
    await deps.events.refresh()
    return c.json({ items: (await listWebhooks(deps.database.db)).map(shown) }, 200)
  })
  app.openapi(routes.remove, async (c) => {
    const { id } = c.req.valid('param')
    return c.json(shown(await changeWebhook(deps, c.get('operator').actor, 'delete', id)), 200)
  })
  app.openapi(routes.pause, async (c) => {
    const { id } = c.req.valid('param')
    return c.json(shown(await changeWebhook(deps, c.get('operator').actor, 'pause', id)), 200)
  })
  app.openapi(routes.resume, async (c) => {
    const { id } = c.req.valid('param')
    return c.json(shown(await changeWebhook(deps, c.get('operator').actor, 'resume', id)), 200)
  })
}

/** Everything but the sealed secret. */
function webhookOf(webhook: Webhook, lastId: number): z.input<typeof webhookSchema> {
  const { id, name, url, severity, giveUpHours, createdBy, deliveredId, attempts, lastError } =
    webhook
  return {
    id,
    name,
    url,
    kinds: webhook.kinds === null ? null : [...webhook.kinds],
    severity,
    giveUpHours,
    createdBy,
    createdAt: webhook.createdAt.toISOString(),
    status: webhookStatus(webhook),
    deliveredId,
    deliveredAt: webhook.deliveredAt?.toISOString() ?? null,
    behind: Math.max(0, lastId - deliveredId),
    attempts,
    failingSince: webhook.failingSince?.toISOString() ?? null,
    nextAttemptAt: webhook.nextAttemptAt?.toISOString() ?? null,
    lastError,
  }
}

function webhookStatus(webhook: Webhook): 'ok' | 'failing' | 'gave-up' | 'paused' {
  if (webhook.pausedAt !== null) return 'paused'
  if (webhook.gaveUpAt !== null) return 'gave-up'
  return webhook.failingSince === null ? 'ok' : 'failing'
}
