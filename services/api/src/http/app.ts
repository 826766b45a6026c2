/** createApp: dependencies → the HTTP API as a value; it neither listens nor reads the environment. */
import { OpenAPIHono } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import type { z } from 'zod'
import { ApiError } from '../errors.ts'
import type { Deps } from '../verbs/deps.ts'
import { invalidBody, zodDetails } from '../verbs/refusals.ts'
import type { AppEnv } from './app-env.ts'
import { agentAuth, operatorAuth } from './auth.ts'
import { checkBody } from './body.ts'
import { idlePoll } from './idle-poll.ts'
import { allowedMethods } from './methods.ts'
import { handleError, problemResponse } from './problem.ts'
import { rateLimit } from './rate-limit.ts'
import { accessRoutes } from './routes/access.ts'
import { agentRoutes } from './routes/agent.ts'
import { controllerRoutes } from './routes/controller.ts'
import { doctorRoutes } from './routes/doctor.ts'
import { explainRoutes } from './routes/explain.ts'
import { fleetRoutes } from './routes/fleet.ts'
import { healthRoutes } from './routes/health.ts'
import { hostRoutes } from './routes/hosts.ts'
import { intentRoutes } from './routes/intent.ts'
import { probeRoutes } from './routes/probes.ts'
import { requestIdOf, SAFE_HEADERS } from './safe-headers.ts'

export type App = OpenAPIHono<AppEnv>

/** `first` runs before anything else below `/v1`, if it is given. */
export function createApp(deps: Deps, first?: MiddlewareHandler<AppEnv>): App {
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
  app.use(async (c, next) => {
    const requestId = requestIdOf(c.req.header('x-request-id'))
    c.set('requestId', requestId)
    for (const [name, value] of Object.entries(SAFE_HEADERS)) c.header(name, value)
    c.header('x-request-id', requestId)
    await next()
  })
  // A flood of enrolments costs signatures and writes; real ones come a few at a time.
  app.use('/v1/enrol', rateLimit({ perSecond: 20, burst: 200 }, deps.now))
  const isAgent = agentAuth(deps)
  const isOperator = operatorAuth(deps)
  app.use('/v1/*', async (c, next) => {
    const { path } = c.req
    if (path === '/v1/enrol' || path === '/v1/agent/token') return next()
    return path.startsWith('/v1/agent/') ? isAgent(c, next) : isOperator(c, next)
  })
  app.use('/v1/*', checkBody)

  probeRoutes(app, deps)
  agentRoutes(app, deps)
  fleetRoutes(app, deps)
  intentRoutes(app, deps)
  explainRoutes(app, deps)
  hostRoutes(app, deps)
  doctorRoutes(app, deps)
  healthRoutes(app, deps)
  accessRoutes(app, deps)
  controllerRoutes(app, deps)
  describe(app)
  return app
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
    description: 'lvsk_...',
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
