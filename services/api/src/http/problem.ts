/** The one place that turns errors into problem+json (RFC 9457). Unexpected ones are logged and told without detail. */
import type { Context } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { ApiError, ERROR_CODES } from '../errors.ts'
import { isDatabaseAway, isOvertaken } from '../store/database.ts'
import type { Log } from '../verbs/deps.ts'
import type { AppEnv } from './app-env.ts'

export function problemResponse(c: Context<AppEnv>, error: ApiError): Response {
  const [status, title] = ERROR_CODES[error.code]
  const body = {
    type: `urn:lvsfleet:problem:${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    requestId: c.get('requestId') ?? '',
    ...(error.errors.length === 0 ? {} : { errors: error.errors }),
  }
  for (const [name, value] of Object.entries(error.headers)) c.header(name, value)
  if (status === 401) {
    c.header('www-authenticate', 'Bearer realm="lvsfleet"')
    // Agents set their idea of the time by it when an assertion is refused.
    c.header('date', new Date().toUTCString())
  }
  return c.body(JSON.stringify(body), status, { 'content-type': 'application/problem+json' })
}

export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (isDatabaseAway(error)) {
    return new ApiError(
      'database-unavailable',
      'the database does not answer; what was asked may or may not have been written, so read before you repeat it',
      { cause: error, headers: { 'retry-after': '1' } },
    )
  }
  if (isOvertaken(error)) {
    return new ApiError('busy', 'another change is in the way; try again', {
      cause: error,
      headers: { 'retry-after': '1' },
    })
  }
  if (error instanceof HTTPException && error.status === 400) {
    return new ApiError('malformed-json', 'the body is not JSON', { cause: error })
  }
  return new ApiError('internal', 'unexpected error; the log has it under the request id', {
    cause: error,
  })
}

export function handleError(log: Log) {
  return (error: Error, c: Context<AppEnv>): Response => {
    const told = toApiError(error)
    const fields = {
      requestId: c.get('requestId'),
      method: c.req.method,
      path: c.req.path,
      code: told.code,
    }
    if (told.code === 'internal') log.error({ ...fields, err: error }, 'request failed')
    else if (told.status === 503)
      log.warn({ ...fields, err: { message: error.message } }, 'request not served')
    return problemResponse(c, told)
  }
}
