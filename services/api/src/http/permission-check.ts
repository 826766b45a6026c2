/** Holds a request against the table of permissions: what the table does not list is refused, whoever asks. */
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { ApiError } from '../errors.ts'
import type { AppEnv } from './app-env.ts'
import { allowedMethods } from './methods.ts'
import { findPermission, rolesOf, type Permission } from './permissions.ts'

export function checkPermission(app: OpenAPIHono<AppEnv>): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const { method, path } = c.req
    const permission = findPermission(method, path)
    // There is no such path or method: 404 or 405 is for the app to say.
    if (permission === undefined && !allowedMethods(app, path).includes(method)) return next()
    const { role } = c.get('operator').grant
    if (permission?.caller !== 'operator' || permission.access[role] === 'no')
      throw new ApiError('forbidden', refusal(permission, role))
    await next()
  }
}

function refusal(permission: Permission | undefined, role: string): string {
  if (permission === undefined) return 'nobody may call this: it is in no table of permissions'
  return `this needs the role ${rolesOf(permission).join(' or ')}; the credential has ${role}`
}
