/** Which methods a path knows, read from the route contracts: tells 405 from 404. */
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { AppEnv } from './app-env.ts'
import { matchesPath } from './permissions.ts'

export function allowedMethods(app: OpenAPIHono<AppEnv>, path: string): string[] {
  const methods = new Set<string>()
  for (const definition of app.openAPIRegistry.definitions) {
    if (definition.type !== 'route') continue
    const { method, path: pattern } = definition.route
    if (matchesPath(pattern, path)) methods.add(method.toUpperCase())
  }
  return [...methods].toSorted()
}
