/** Webhooks of operators: make one (its secret is told once), pause it, let it go on, delete it. */
import { randomBytes } from 'node:crypto'
import { ApiError } from '../errors.ts'
import { seal } from '../identity/seal.ts'
import type { EventKind, EventSeverity } from '../status/event.ts'
import { insertAuditEvent } from '../store/audit-store.ts'
import type { Tx } from '../store/database.ts'
import { loadEventBounds } from '../store/event-store.ts'
import {
  countWebhooks,
  deleteWebhook,
  insertWebhook,
  pauseWebhook,
  resumeWebhook,
  type Webhook,
} from '../store/webhook-store.ts'
import { newWebhookSecret } from '../webhooks/sign.ts'
import { refuseUrl } from '../webhooks/target.ts'
import type { Deps } from './deps.ts'

export type NewWebhook = {
  readonly name: string
  readonly url: string
  readonly kinds: readonly EventKind[] | null
  readonly severity: EventSeverity
  readonly giveUpHours: number
}

/** Each costs a connection at a time, and every process looks for its turn. */
const WEBHOOKS_MAX = 50
/** What secrets of webhooks are sealed for; see identity/seal.ts. */
export const WEBHOOK_PURPOSE = 'webhook secrets'

export async function createWebhook(
  deps: Deps,
  actor: string,
  wanted: NewWebhook,
): Promise<{ webhook: Webhook; secret: string }> {
  const refused = refuseUrl(wanted.url, deps.webhookRules)
  if (refused !== undefined) {
    throw new ApiError('invalid-body', `/url ${refused}`, {
      errors: [{ pointer: '/url', code: 'refused-url', message: refused }],
    })
  }
  const id = randomBytes(6).toString('hex')
  const secret = newWebhookSecret()
  const createdAt = deps.now()
  const sealedSecret = seal(deps.controllerKeys.deriveKey(WEBHOOK_PURPOSE), id, secret)
  const webhook = await deps.database.db.transaction(async (tx) => {
    if ((await countWebhooks(tx)) >= WEBHOOKS_MAX) {
      throw new ApiError('conflict', `there are ${WEBHOOKS_MAX} webhooks already: delete one first`)
    }
    const made: Webhook = {
      ...wanted,
      id,
      sealedSecret,
      createdBy: actor,
      createdAt,
      pausedAt: null,
      gaveUpAt: null,
      // From now on: what happened before is in GET /v1/events.
      deliveredId: (await loadEventBounds(tx)).lastId,
      deliveredAt: null,
      attempts: 0,
      failingSince: null,
      nextAttemptAt: null,
      lastError: null,
    }
    if (!(await insertWebhook(tx, made))) {
      throw new ApiError('conflict', `there is a webhook named ${wanted.name}: delete it first`)
    }
    const { host } = new URL(wanted.url)
    const { kinds, severity, giveUpHours } = wanted
    await audit(deps, tx, actor, 'create', made, { host, kinds, severity, giveUpHours })
    return made
  })
  return { webhook, secret }
}

const CHANGES = { delete: deleteWebhook, pause: pauseWebhook, resume: resumeWebhook } as const
export type WebhookChange = keyof typeof CHANGES

export async function changeWebhook(
  deps: Deps,
  actor: string,
  change: WebhookChange,
  id: string,
): Promise<Webhook> {
  return deps.database.db.transaction(async (tx) => {
    const webhook = await CHANGES[change](tx, id, deps.now())
    if (webhook === undefined) throw new ApiError('not-found', `there is no webhook ${id}`)
    await audit(deps, tx, actor, change, webhook)
    return webhook
  })
}

async function audit(
  deps: Deps,
  tx: Tx,
  actor: string,
  change: string,
  { id, name }: Webhook,
  detail: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await insertAuditEvent(tx, {
    at: deps.now(),
    actor,
    action: `webhook.${change}`,
    subject: `webhook/${name}`,
    revision: null,
    detail: { id, ...detail },
  })
}
