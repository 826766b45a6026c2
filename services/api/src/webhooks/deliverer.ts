/**
 * Tells webhooks of events: each in its order, at least once, one process at a time. What was taken is written down before
 * the next is sent, so whoever goes on after a crash sends again what was under way and nothing else.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { unseal } from '../identity/seal.ts'
import { makeEvent, matchesEvent, type FleetEvent } from '../status/event.ts'
import { appendEvents, listEvents, loadEventBounds } from '../store/event-store.ts'
import {
  claimWebhook,
  releaseWebhook,
  saveDelivered,
  saveFailed,
  type Webhook,
} from '../store/webhook-store.ts'
import type { Deps } from '../verbs/deps.ts'
import { wireEvent } from '../status/wire-event.ts'
import { WEBHOOK_PURPOSE } from '../verbs/webhooks.ts'
import { retryDelayMs } from './backoff.ts'
import { post, type Posted } from './post.ts'
import { signedHeaders } from './sign.ts'

export type DelivererTimes = {
  /** How long a receiver has for its whole answer. */
  readonly timeoutMs: number
  /** Of the first retry, at most; each further one may take twice as long. */
  readonly firstRetryMs: number
  /** Looks for what is due at least this often. */
  readonly idleMs: number
}
export const DELIVERER_TIMES: DelivererTimes = {
  timeoutMs: 10_000,
  firstRetryMs: 5_000,
  idleMs: 2_000,
}

/** Receivers that are served at the same time by this process. */
const TOGETHER_MAX = 8
/** Events that one turn looks at, so that every receiver gets its turn. */
const TURN_MAX = 100
const DATABASE_AWAY_MS = 1_000

export function startDeliverer(deps: Deps, times: DelivererTimes): () => Promise<void> {
  const by = randomUUID()
  const stop = new AbortController()
  const running = new Set<Promise<void>>()

  const pass = async (): Promise<void> => {
    const ended = new AbortController()
    const { lastId } = deps.events
    while (running.size < TOGETHER_MAX) {
      const webhook = await claimWebhook(deps.database.db, { by, lastId, now: deps.now() })
      if (webhook === undefined) break
      const turn = takeTurn({ deps, times, by, signal: stop.signal }, webhook)
        .catch((error: unknown) => deps.log.warn({ err: error, webhook: webhook.name }, 'webhook'))
        .finally(() => {
          running.delete(turn)
          ended.abort()
        })
      running.add(turn)
    }
    await deps.events.wait(lastId, times.idleMs, AbortSignal.any([stop.signal, ended.signal]))
  }
  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted && !deps.events.isClosed) {
      try {
        await pass()
      } catch (error) {
        deps.log.warn({ err: error }, 'webhooks wait for the database')
        await sleep(DATABASE_AWAY_MS, undefined, { signal: stop.signal }).catch(() => {})
      }
    }
  }
  const done = loop()
  return async () => {
    stop.abort()
    await done
    await Promise.all(running)
  }
}

/**
 * Tells what is due now, and returns: for processes that nothing but a schedule wakes. What is under way after `withinMs`
 * is sent again the next time. Gives how many turns were taken.
 */
export async function deliverDue(
  deps: Deps,
  { times, withinMs }: { readonly times: DelivererTimes; readonly withinMs: number },
): Promise<number> {
  const by = randomUUID()
  const signal = AbortSignal.timeout(withinMs)
  await deps.events.refresh()
  const { lastId } = deps.events
  let turns = 0
  const work = async (): Promise<void> => {
    while (!signal.aborted) {
      const webhook = await claimWebhook(deps.database.db, { by, lastId, now: deps.now() })
      if (webhook === undefined) return
      turns++
      await takeTurn({ deps, times, by, signal }, webhook).catch((error: unknown) =>
        deps.log.warn({ err: error, webhook: webhook.name }, 'webhook'),
      )
    }
  }
  await Promise.all(Array.from({ length: TOGETHER_MAX }, work))
  return turns
}

type Turn = {
  readonly deps: Deps
  readonly times: DelivererTimes
  readonly by: string
  readonly signal: AbortSignal
}

async function takeTurn(turn: Turn, webhook: Webhook): Promise<void> {
  const { deps, by, signal } = turn
  const { db } = deps.database
  const step = { id: webhook.id, by }
  const bounds = await loadEventBounds(db)
  const after = Math.max(webhook.deliveredId, bounds.prunedId)
  if (after > webhook.deliveredId && !(await tellMissed(turn, webhook, after))) return
  const page = { after, upTo: bounds.lastId, limit: TURN_MAX }
  const events = await listEvents(db, page)
  let passed = after
  let hasTaken = false
  for (const event of events) {
    if (isFor(event, webhook)) {
      const posted = await deliver(turn, webhook, event)
      // Whoever stops counts nothing: it is sent again.
      if (signal.aborted) break
      deps.counts.countDelivery(posted.is)
      if (posted.is === 'failed') {
        const atIt = hasTaken ? { ...webhook, attempts: 0, failingSince: null } : webhook
        return fail(turn, atIt, event, passed, posted)
      }
      const taken = { deliveredId: event.id, at: deps.now() }
      if (!(await saveDelivered(db, step, taken))) return releaseWebhook(db, step)
      hasTaken = true
    }
    passed = event.id
  }
  const isRead = events.at(-1)?.id === passed && events.length < TURN_MAX
  await saveDelivered(db, step, { deliveredId: isRead ? bounds.lastId : passed, at: null })
  await releaseWebhook(db, step)
}

function isFor(event: FleetEvent, { name, kinds, severity }: Webhook): boolean {
  // Its own end is for others to hear of.
  if (event.subject === `webhook/${name}` && event.kind.startsWith('webhook.')) return false
  return matchesEvent(event, { kind: kinds ?? undefined, severity })
}

async function deliver(turn: Turn, webhook: Webhook, event: FleetEvent): Promise<Posted> {
  const { deps, times, signal } = turn
  const key = deps.controllerKeys.deriveKey(WEBHOOK_PURPOSE)
  const secret = unseal(key, webhook.id, webhook.sealedSecret)
  if (secret === undefined) {
    const error = 'its secret was sealed with another signing key: delete it and make it anew'
    return { is: 'failed', error, isGone: false }
  }
  const data = wireEvent(event)
  const body = JSON.stringify({ type: event.kind, timestamp: data.at, data })
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'lvsfleet-webhook/1',
    ...signedHeaders(secret, { id: `evt_${event.id}`, at: deps.now(), body }),
  }
  const { timeoutMs } = times
  return post(webhook.url, { headers, body }, { rules: deps.webhookRules, timeoutMs, signal })
}

async function fail(
  turn: Turn,
  webhook: Webhook,
  event: FleetEvent,
  passed: number,
  { error, isGone }: Extract<Posted, { is: 'failed' }>,
): Promise<void> {
  const { deps, times, by } = turn
  const now = deps.now()
  const step = { id: webhook.id, by }
  const attempts = webhook.attempts + 1
  const failingSince = webhook.failingSince ?? now
  const isOver = now.getTime() - failingSince.getTime() >= webhook.giveUpHours * 3_600_000
  const gaveUpAt = isGone || isOver ? now : null
  const delayMs = retryDelayMs(attempts, times.firstRetryMs, Math.random())
  const nextAttemptAt = gaveUpAt === null ? new Date(now.getTime() + delayMs) : null
  await deps.database.db.transaction(async (tx) => {
    if (!(await saveDelivered(tx, step, { deliveredId: passed, at: null }))) {
      return releaseWebhook(tx, step)
    }
    const failure = { attempts, failingSince, nextAttemptAt, lastError: error, gaveUpAt }
    if (!(await saveFailed(tx, step, failure)) || gaveUpAt === null) return
    const cause = isGone ? `the receiver wants no more: ${error}` : `${attempts} attempts: ${error}`
    const gaveUp = makeEvent({
      kind: 'webhook.gave-up',
      severity: 'error',
      at: now,
      subject: `webhook/${webhook.name}`,
      cause,
      message: `webhook ${webhook.name} is stopped at event ${event.id}: ${cause}; lvsfleet webhook resume ${webhook.name}`,
      detail: { event: event.id, attempts },
    })
    await appendEvents(tx, [gaveUp], now)
  })
}

/** Retention went past what it had still to be told: said, never passed over in silence. */
async function tellMissed(turn: Turn, webhook: Webhook, prunedId: number): Promise<boolean> {
  const { deps, by } = turn
  const now = deps.now()
  const count = prunedId - webhook.deliveredId
  return deps.database.db.transaction(async (tx) => {
    const step = { id: webhook.id, by }
    if (!(await saveDelivered(tx, step, { deliveredId: prunedId, at: null }))) {
      await releaseWebhook(tx, step)
      return false
    }
    const cause = 'it was behind for longer than events are kept'
    const missed = makeEvent({
      kind: 'webhook.missed',
      severity: 'error',
      at: now,
      subject: `webhook/${webhook.name}`,
      cause,
      message: `webhook ${webhook.name} was not told of up to ${count} events: ${cause}`,
      detail: { count },
    })
    await appendEvents(tx, [missed], now)
    return true
  })
}
