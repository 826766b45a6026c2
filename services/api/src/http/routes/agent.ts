/** The agents' calls, exactly as `contract/agent-api.ts` says them. */
import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi'
import {
  AGENT_VERSION_HEADER,
  challengeAnswerSchema,
  enrolAnswerSchema,
  enrolPendingSchema,
  enrolRequestSchema,
  judgeSkew,
  POLL_SECONDS_HEADER,
  rotateKeyRequestSchema,
  STATE_MEDIA_TYPE,
  statusReportSchema,
  tokenAnswerSchema,
  tokenRequestSchema,
  type Skew,
} from '@lvs-fleet/contract'
import type { Context } from 'hono'
import { ApiError } from '../../errors.ts'
import type { Deps } from '../../verbs/deps.ts'
import { enrol } from '../../verbs/enrol.ts'
import { pollState, stateDocument } from '../../verbs/fetch-state.ts'
import { issueAccessToken } from '../../verbs/issue-access-token.ts'
import { recordReport } from '../../verbs/record-report.ts'
import { rotateHostKey } from '../../verbs/rotate-host-key.ts'
import { makeChallenge } from '../../verbs/ways-in.ts'
import type { AppEnv } from '../app-env.ts'
import { json, jsonBody, problems } from '../contract.ts'
import { sendDocument } from '../document-stream.ts'

const WAIT_SECONDS_MAX = 50

const enrolRoute = createRoute({
  method: 'post',
  path: '/v1/enrol',
  tags: ['agent'],
  security: [],
  request: { body: jsonBody(enrolRequestSchema) },
  responses: {
    200: json(enrolAnswerSchema, 'Enrolled'),
    202: json(enrolPendingSchema, 'A person must let this host in: ask again with the same key'),
    ...problems(409, 413, 415, 422, 426, 429),
  },
})

const challengeRoute = createRoute({
  method: 'post',
  path: '/v1/enrol/challenge',
  tags: ['agent'],
  security: [],
  responses: {
    200: json(challengeAnswerSchema, 'What to sign; good once, for two minutes'),
    ...problems(429),
  },
})

const tokenRoute = createRoute({
  method: 'post',
  path: '/v1/agent/token',
  tags: ['agent'],
  security: [],
  request: { body: jsonBody(tokenRequestSchema) },
  responses: { 200: json(tokenAnswerSchema, 'An access token'), ...problems(413, 415, 422) },
})

const haveSchema = z
  .string()
  .regex(/^\d{1,9}\.\d{1,9}$/, { error: 'must be EPOCH.GENERATION' })
  .transform((text) => {
    const [epoch = 0, generation = 0] = text.split('.').map(Number)
    return { epoch, generation }
  })

const pollSchema = z.strictObject({
  wait: z.coerce.number().min(0).max(WAIT_SECONDS_MAX).default(0),
  have: haveSchema.optional(),
})

const documentAnswer = {
  description:
    'The state document: a signed manifest and the shards that are not held yet, one a line',
  content: { [STATE_MEDIA_TYPE]: { schema: z.string() } },
}

const stateRoute = createRoute({
  method: 'get',
  path: '/v1/agent/state',
  tags: ['agent'],
  security: [{ accessToken: [] }],
  request: {
    headers: z.object({ 'if-none-match': z.string().max(200).optional() }),
    query: pollSchema,
  },
  responses: {
    200: documentAnswer,
    304: { description: 'Nothing new' },
    ...problems(404),
  },
})

const reportRoute = createRoute({
  method: 'post',
  path: '/v1/agent/report',
  tags: ['agent'],
  security: [{ accessToken: [] }],
  request: {
    body: jsonBody(statusReportSchema),
    // With the ETag of what it holds an agent asks for the next state as well: one request instead of two.
    query: pollSchema.extend({ held: z.string().max(200).optional() }),
  },
  responses: {
    200: documentAnswer,
    204: { description: 'Kept, or older than what is kept; nothing new, where that was asked' },
    ...problems(404, 413, 415, 422),
  },
})

const rotateRoute = createRoute({
  method: 'post',
  path: '/v1/agent/rotate-key',
  tags: ['agent'],
  security: [{ accessToken: [] }],
  request: { body: jsonBody(rotateKeyRequestSchema) },
  responses: {
    204: { description: 'The new key counts from now on, the old one no longer' },
    ...problems(409, 413, 415, 422),
  },
})

/**
 * A host that is not in yet is told at once, to somebody who is there. One that is in is never refused for its version: it
 * gets its state, and where it cannot read that it keeps what it has; its row among the hosts says so.
 */
function refuseUnsupported(version: string | undefined): void {
  const skew: Skew = version === undefined ? { supported: true } : judgeSkew(version)
  if (!skew.supported) throw new ApiError('unsupported-agent', skew.reason)
}

type Asked = {
  /** ETag of the state that the agent holds. */
  readonly held: string | undefined
  readonly have?: { readonly epoch: number; readonly generation: number } | undefined
  readonly wait: number
}

/** The next state for who asks; undefined = there is none yet. Says when to ask again, either way. */
async function nextState(
  c: Context<AppEnv>,
  deps: Deps,
  { held: named, have, wait: wished }: Asked,
): Promise<Response | undefined> {
  const held = named?.replace(/^W\//, '')
  const wait = deps.holdsPolls ? wished : 0
  const state = await pollState(deps, c.get('identity'), {
    held,
    waitMs: wait * 1_000,
    signal: () => c.req.raw.signal,
  })
  // Who holds polls open asks again at once; a process that drains wants a moment, to be gone by then.
  const pollSeconds = wait === 0 ? deps.pollSeconds : deps.live.waiters.isClosed ? 2 : 0
  c.header(POLL_SECONDS_HEADER, String(pollSeconds))
  if (state !== undefined) return sendDocument(c, await stateDocument(deps, state, have))
  if (held !== undefined) c.header('etag', held)
  return undefined
}

export function agentRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
  app.openapi(challengeRoute, async (c) => c.json(await makeChallenge(deps), 200))

  app.openapi(enrolRoute, async (c) => {
    refuseUnsupported(c.req.header(AGENT_VERSION_HEADER))
    const outcome = await enrol(deps, c.req.valid('json'))
    if (outcome.is === 'enrolled') return c.json(outcome.answer, 200)
    const { id, retryAfterSeconds } = outcome
    return c.json({ pending: id, retryAfterSeconds }, 202)
  })

  app.openapi(tokenRoute, async (c) =>
    c.json(await issueAccessToken(deps, c.req.valid('json').client_assertion), 200),
  )

  app.openapi(stateRoute, async (c) => {
    const held = c.req.header('if-none-match')
    return (await nextState(c, deps, { held, ...c.req.valid('query') })) ?? c.body(null, 304)
  })

  app.openapi(rotateRoute, async (c) => {
    await rotateHostKey(deps, c.get('identity'), c.req.valid('json'))
    return c.body(null, 204)
  })

  app.openapi(reportRoute, async (c) => {
    await recordReport(deps, c.get('identity'), c.req.valid('json'))
    const { held, ...asked } = c.req.valid('query')
    const next = held === undefined ? undefined : await nextState(c, deps, { held, ...asked })
    return next ?? c.body(null, 204)
  })
}
