/** createApp: dependencies → the HTTP API as a value; it neither listens nor reads the environment. */
import { OpenAPIHono } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { every } from 'hono/combine'
import type { z } from 'zod'
import { ApiError } from '../errors.ts'
import type { Deps } from '../verbs/deps.ts'
import { invalidBody, zodDetails } from '../verbs/refusals.ts'
import type { AppEnv } from './app-env.ts'
import { agentAuth, operatorAuth } from './auth.ts'
import { checkBody } from './body.ts'
import { STREAM_TIMES, type StreamTimes } from './event-stream.ts'
import { idlePoll } from './idle-poll.ts'
import { allowedMethods } from './methods.ts'
import { countRequests } from './count-requests.ts'
import { handleError, problemResponse } from './problem.ts'
import { checkPermission } from './permission-check.ts'
import { identityRateLimit, rateLimit } from './rate-limit.ts'
import { recordRefusals } from './refusals.ts'
import { accessRoutes } from './routes/access.ts'
import { agentRoutes } from './routes/agent.ts'
import { apiKeyRoutes } from './routes/api-keys.ts'
import { auditRoutes } from './routes/audit.ts'
import { controllerRoutes } from './routes/controller.ts'
import { enrolmentRoutes } from './routes/enrolment.ts'
import { doctorRoutes } from './routes/doctor.ts'
import { eventRoutes } from './routes/events.ts'
import { explainRoutes } from './routes/explain.ts'
import { fleetRoutes } from './routes/fleet.ts'
import { drainRoutes } from './routes/drains.ts'
import { healthRoutes } from './routes/health.ts'
import { hostRoutes } from './routes/hosts.ts'
import { intentRoutes } from './routes/intent.ts'
import { probeRoutes } from './routes/probes.ts'
import { webhookRoutes } from './routes/webhooks.ts'
import { requestIdOf, SAFE_HEADERS } from './safe-headers.ts'

/** Calls that bring their own proof. */
const OPEN_PATHS = new Set(['/v1/enrol', '/v1/enrol/challenge', '/v1/agent/token'])

export type App = OpenAPIHono<AppEnv>

type AppOptions = {
  readonly first?: MiddlewareHandler<AppEnv> | undefined
  readonly streamTimes?: StreamTimes | undefined
}

/** `first` runs before anything else below `/v1`, if it is given. */
export function createApp(deps: Deps, { first, streamTimes = STREAM_TIMES }: AppOptions = {}): App {
  const app = new OpenAPIHono<AppEnv>({
    defaultHook: (result) => {
      if (!result.success) throw refusal(result.target, result.error)
    },
  })
  app.onError(handleError(deps.log))
  app.notFound((c) => {
    const methods = allowedMethods(app, c.req.path)
    if (methods.length === 0)
      return problemResponse(c, new ApiError('not-found', `there is nothing at ${c.req.path}`))
    const allow = methods.join(', ')
    return problemResponse(
      c,
      new ApiError('method-not-allowed', `${c.req.path} knows ${allow}`, { headers: { allow } }),
    )
  })

  if (first !== undefined) app.use('/v1/*', first)
  app.use('/v1/agent/state', idlePoll(deps))
  app.use(countRequests(deps))
  app.use(async (c, next) => {
    const requestId = requestIdOf(c.req.header('x-request-id'))
    c.set('requestId', requestId)
    for (const [name, value] of Object.entries(SAFE_HEADERS)) c.header(name, value)
    c.header('x-request-id', requestId)
    await next()
  })
  app.use('/v1/*', recordRefusals(deps))
  // A flood of enrolments costs signatures and writes; real ones come a few at a time.
  app.use('/v1/enrol', rateLimit({ perSecond: 20, burst: 200 }, deps.now))
  app.use('/v1/enrol/challenge', rateLimit({ perSecond: 20, burst: 200 }, deps.now))
  app.use('/v1/*', guard(app, deps))
  app.use('/v1/*', checkBody)

  probeRoutes(app, deps)
  agentRoutes(app, deps)
  fleetRoutes(app, deps)
  intentRoutes(app, deps)
  explainRoutes(app, deps)
  hostRoutes(app, deps)
  doctorRoutes(app, deps)
  healthRoutes(app, deps)
  drainRoutes(app, deps)
  eventRoutes(app, deps, streamTimes)
  webhookRoutes(app, deps)
  accessRoutes(app, deps)
  apiKeyRoutes(app, deps)
  auditRoutes(app, deps)
  enrolmentRoutes(app, deps)
  controllerRoutes(app, deps)
  describe(app)
  return app
}

/** Who asks, how often, and whether they may: in this order, so that refusals count as well. */
function guard(app: App, deps: Deps): MiddlewareHandler<AppEnv> {
  const perSecond = deps.requestsPerSecond
  const asked = identityRateLimit({ perSecond, burst: 10 * perSecond }, deps.now)
  const agent = every(agentAuth(deps), asked)
  const operator = every(operatorAuth(deps), asked, checkPermission(app))
  return (c, next) => {
    const { path } = c.req
    if (OPEN_PATHS.has(path)) return next()
    return path.startsWith('/v1/agent/') ? agent(c, next) : operator(c, next)
  }
}

function refusal(target: string, error: z.core.$ZodError): ApiError {
  if (target === 'json') return invalidBody(error)
  const errors = zodDetails(error).map((detail) => ({
    ...detail,
    pointer: `${target}:${detail.pointer.slice(1)}`,
  }))
  const first = errors[0]
  return new ApiError(
    'invalid-parameter',
    `${first?.pointer ?? target} ${first?.message ?? 'is not valid'}`,
    { errors },
  )
}

function describe(app: App): void {
  app.openAPIRegistry.registerComponent('securitySchemes', 'apiKey', {
    type: 'http',
    scheme: 'bearer',
    description: 'lvsk_..., or a token of an OIDC issuer',
  })
  app.openAPIRegistry.registerComponent('securitySchemes', 'accessToken', {
    type: 'http',
    scheme: 'bearer',
    description: 'lvsa_..., for agents',
  })
  app.doc31('/openapi.json', {
    openapi: '3.1.0',
    info: {
      title: 'LVS Fleet',
      version: '1',
      description: 'Fleet-wide Linux Virtual Server intent, and the calls of its agents.',
    },
    security: [{ apiKey: [] }],
  })
}
