/**
 * One event of Lambda → its answer. HTTP events (payload version 2: Function URL or HTTP API) go through the same app
 * as on Node, after this instance caught up with the others; the schedule's event keeps house and tells webhooks.
 */
import type { MiddlewareHandler } from 'hono'
import type { LambdaContext, LambdaEvent } from 'hono/aws-lambda'
import { getConnInfo, handle } from 'hono/aws-lambda'
import * as z from 'zod'
import { ApiError, ERROR_CODES } from '../errors.ts'
import type { AppEnv } from '../http/app-env.ts'
import { createApp } from '../http/app.ts'
import { toApiError } from '../http/problem.ts'
import { makeCatchUp } from '../verbs/catch-up.ts'
import type { Deps, Log } from '../verbs/deps.ts'
import { keepHouse } from '../verbs/housekeeping.ts'
import { deliverDue, DELIVERER_TIMES } from '../webhooks/deliverer.ts'

/** What distinguishes it from anything that somebody else may send; AWS writes the rest. */
const httpEventSchema = z.looseObject({
  version: z.literal('2.0'),
  rawPath: z.string(),
  requestContext: z.looseObject({ http: z.looseObject({ method: z.string() }) }),
})

const houseEventSchema = z.looseObject({ task: z.literal('housekeeping') })

/** Lambda's limit is 6 MB for the whole answer as JSON, in which quotes and line ends take two characters. */
const ANSWER_MAX_BYTES = 6 * 1024 * 1024 - 64 * 1024

/** For webhooks at each turn of the schedule; with the rest of the housekeeping it stays below the function's 30 s. */
const DELIVER_MS = 15_000

/** What Lambda turns into an HTTP answer. */
export type HttpResult = {
  readonly statusCode: number
  readonly headers?: Readonly<Record<string, unknown>> | undefined
  readonly body?: string
}

export type EventHandler = (
  event: unknown,
  context: LambdaContext,
) => Promise<HttpResult | { readonly done: string }>

export function makeEventHandler(deps: Deps, agentMaxAgeMs: number): EventHandler {
  const catchUp = makeCatchUp(deps)
  const first: MiddlewareHandler<AppEnv> = async (c, next) => {
    await catchUp(c.req.path.startsWith('/v1/agent/') ? agentMaxAgeMs : 0)
    await next()
    if (c.res.status === 401 || c.res.status === 429) {
      // From the request's context: x-forwarded-for is whatever the caller wrote there.
      const { address } = getConnInfo(c).remote
      const { method, path } = c.req
      deps.log.warn({ address, method, path, status: c.res.status }, 'a caller was refused')
    }
  }
  const app = createApp(deps, { first })
  // Everything we answer is text.
  const serve = handle(app, { isContentTypeBinary: () => false })
  return async (event, context) => {
    if (isHttpEvent(event)) return bounded(await serve(event, context), deps.log)
    if (houseEventSchema.safeParse(event).success) {
      await catchUp(0)
      await keepHouse(deps)
      await deliverDue(deps, { times: DELIVERER_TIMES, withinMs: DELIVER_MS })
      return { done: 'housekeeping' }
    }
    throw new Error('the event is neither HTTP with payload version 2 nor {"task": "housekeeping"}')
  }
}

export function isHttpEvent(event: unknown): event is LambdaEvent {
  return httpEventSchema.safeParse(event).success
}

/** The answer when this instance cannot serve at all. */
export function refusalResult(error: unknown): HttpResult {
  const told = toApiError(error)
  const [status, title] = ERROR_CODES[told.code]
  const type = `urn:lvsfleet:problem:${told.code}`
  return {
    statusCode: status,
    headers: { 'content-type': 'application/problem+json', ...told.headers },
    body: JSON.stringify({ type, title, status, detail: told.message, code: told.code }),
  }
}

function bounded(result: HttpResult, log: Log): HttpResult {
  const bytes = Buffer.byteLength(JSON.stringify(result))
  if (bytes <= ANSWER_MAX_BYTES) return result
  log.error({ bytes, max: ANSWER_MAX_BYTES }, 'an answer is larger than Lambda can send')
  return refusalResult(
    new ApiError(
      'internal',
      `the answer has ${bytes} bytes, more than a Lambda function can send: run the API on Node for a fleet of this size`,
    ),
  )
}
