/**
 * Bodies before they are parsed: only JSON, only so large, only so deep, and no NUL. A refused body is never held whole.
 */
import type { MiddlewareHandler } from 'hono'
import { ApiError } from '../errors.ts'
import type { AppEnv } from './app-env.ts'

const MIB = 1024 * 1024
export const BODY_MAX = MIB
export const FLEET_BODY_MAX = 4 * MIB
/** The deepest document of ours has seven levels. */
const DEPTH_MAX = 32
/** PostgreSQL has no text with it. */
const NUL_REFUSED = 'the body has a NUL character (\\u0000), which no text may hold'
const JSON_TYPE = /^application\/([a-z0-9.-]+\+)?json\s*(;|$)/i

export const checkBody: MiddlewareHandler<AppEnv> = async (c, next) => {
  const { method } = c.req
  if (method !== 'POST' && method !== 'PUT' && method !== 'PATCH') return next()
  const declared = Number(c.req.header('content-length') ?? Number.NaN)
  if (declared === 0 || c.req.raw.body === null) return next()
  const type = c.req.header('content-type') ?? ''
  if (!JSON_TYPE.test(type)) {
    throw new ApiError(
      'unsupported-media-type',
      `send application/json, not ${type === '' ? 'a body without a type' : type.slice(0, 100)}`,
      {
        headers: { connection: 'close' },
      },
    )
  }
  const encoding = c.req.header('content-encoding') ?? 'identity'
  if (encoding !== 'identity') {
    throw new ApiError('unsupported-media-type', 'send the body without content-encoding', {
      headers: { connection: 'close' },
    })
  }
  const max = method === 'PUT' && c.req.path === '/v1/fleet' ? FLEET_BODY_MAX : BODY_MAX
  if (declared > max) throw tooLarge(max)
  const text = Number.isNaN(declared) ? await readBounded(c.req.raw.body, max) : await c.req.text()
  checkText(text)
  // The validators read from Hono's cache, which holds promises whatever its type says.
  Object.assign(c.req.bodyCache, { text: Promise.resolve(text) })
  return next()
}

function tooLarge(max: number): ApiError {
  return new ApiError(
    'body-too-large',
    `the body is larger than ${max / MIB} MiB; send the fleet in parts`,
    {
      headers: { connection: 'close' },
    },
  )
}

/** A body of unknown length: counted while it comes. */
async function readBounded(body: ReadableStream<Uint8Array>, max: number): Promise<string> {
  const parts: Uint8Array[] = []
  let size = 0
  const reader = body.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    size += value.length
    if (size > max) {
      await reader.cancel().catch(() => {})
      throw tooLarge(max)
    }
    parts.push(value)
  }
  return Buffer.concat(parts).toString('utf8')
}

/** Counts brackets outside of strings and looks for what no text may hold; what is not JSON at all is found by the parser. */
function checkText(text: string): void {
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (inString) {
      if (code === 0x5c) {
        if (text.startsWith('u0000', i + 1)) throw new ApiError('malformed-json', NUL_REFUSED)
        i++
      } else if (code === 0x22) inString = false
    } else if (code === 0x22) inString = true
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > DEPTH_MAX)
        throw new ApiError('too-deep', `the body nests deeper than ${DEPTH_MAX} levels`)
    } else if (code === 0x7d || code === 0x5d) depth--
  }
}
