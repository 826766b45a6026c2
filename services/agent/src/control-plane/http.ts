/**
 * HTTP over node:http and node:https: fetch would cost 20 to 30 MB of memory. One keep-alive connection pool;
 * every call has a deadline for its headers, for silence within its body, and limits for its size.
 */
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { WireError } from '../ports.ts'

export const LINE_BYTES_MAX = 16 * 1024 * 1024
export const BODY_BYTES_MAX = 256 * 1024 * 1024
const TEXT_BYTES_MAX = 1024 * 1024
const BODY_SILENCE_MS = 15_000

export type HttpRequest = {
  readonly method: 'GET' | 'POST'
  /** Below the base URL, with query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Until the headers of the answer are here. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

export type HttpAnswer = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The body by lines, as it arrives, gunzipped where it came so; throws WireError beyond the limits or when it breaks off. */
  lines(): AsyncIterable<string>
  /** The whole of a small body. */
  text(): Promise<string>
  /** Drops the body, so that the connection can be used again. */
  discard(): void
}

export type HttpClient = {
  request(request: HttpRequest): Promise<HttpAnswer>
  close(): void
}

export function createHttpClient(baseUrl: URL): HttpClient {
  const options = { keepAlive: true, maxSockets: 4, maxFreeSockets: 2 }
  const isTls = baseUrl.protocol === 'https:'
  // Not imported: an import of node:http evaluates all it exports, its WebSocket too, which loads undici
  // (9 MB and a third of the start). And break-glass needs no HTTP at all.
  const { Agent, request: send } = process.getBuiltinModule(isTls ? 'node:https' : 'node:http')
  const agent = new Agent(options)
  const target = process.getBuiltinModule('node:url').urlToHttpOptions(baseUrl)
  const basePath = baseUrl.pathname.replace(/\/$/, '')
  return {
    request: (request) =>
      new Promise((resolve, reject) => {
        const fail = (cause: unknown): void => {
          reject(new WireError(`${request.method} ${request.path}: ${textOf(cause)}`, { cause }))
        }
        const { method, path, headers, body, signal } = request
        const outgoing = send(
          {
            ...target,
            path: `${basePath}${path}`,
            method,
            agent,
            headers:
              body === undefined
                ? headers
                : { ...headers, 'content-length': Buffer.byteLength(body) },
          },
          (incoming) => {
            clearTimeout(timer)
            resolve(answerOf(incoming))
          },
        )
        const timer = setTimeout(() => {
          outgoing.destroy(new Error(`no answer within ${request.timeoutMs} ms`))
        }, request.timeoutMs)
        outgoing.on('error', (error) => {
          clearTimeout(timer)
          fail(error)
        })
        if (signal !== undefined) endWith(signal, outgoing)
        outgoing.end(body)
      }),
    close: () => agent.destroy(),
  }
}

/** Node's own `signal` hears the end of the streams as well, a fifth of what a request costs. */
function endWith(signal: AbortSignal, outgoing: ClientRequest): void {
  const stop = (): void => {
    outgoing.destroy(new Error('stopped'))
  }
  if (signal.aborted) return stop()
  signal.addEventListener('abort', stop, { once: true })
  outgoing.once('close', () => signal.removeEventListener('abort', stop))
}

/** A small JSON body; throws WireError when it is none. */
export async function jsonOf(answer: HttpAnswer): Promise<unknown> {
  const text = await answer.text()
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch (cause) {
    throw new WireError('the answer is not JSON: is this the control plane?', { cause })
  }
}

/** Answers without a body (RFC 9110, 15.3.5 and 15.4.5): nothing to wait for. */
const BODILESS: readonly (number | undefined)[] = [204, 304]

function answerOf(incoming: IncomingMessage): HttpAnswer {
  if (!BODILESS.includes(incoming.statusCode)) {
    incoming.setTimeout(BODY_SILENCE_MS, () => {
      incoming.destroy(new Error(`body silent for ${BODY_SILENCE_MS} ms`))
    })
  }
  return {
    status: incoming.statusCode ?? 0,
    headers: incoming.headers,
    lines: () => linesOf(plainOf(incoming)),
    async text() {
      let text = ''
      for await (const chunk of chunksOf(incoming, TEXT_BYTES_MAX)) text += chunk.toString('utf8')
      return text
    },
    discard: () => {
      incoming.on('error', () => undefined)
      incoming.resume()
    },
  }
}

/** Limits count what comes out: a small answer that unfolds to more than they allow is broken off. */
function plainOf(incoming: IncomingMessage): Readable {
  const encoding = incoming.headers['content-encoding'] ?? 'identity'
  if (encoding === 'identity') return incoming
  if (encoding !== 'gzip') {
    incoming.destroy()
    throw new WireError(`the answer has content-encoding ${encoding}, which nobody asked for`)
  }
  // Not imported either: most states are small and come as they are.
  const { createGunzip } = process.getBuiltinModule('node:zlib')
  const { pipeline } = process.getBuiltinModule('node:stream')
  // What goes wrong with either is heard by who reads the lines.
  return pipeline(incoming, createGunzip(), () => undefined)
}

async function* linesOf(incoming: Readable): AsyncGenerator<string> {
  let parts: Buffer[] = []
  let size = 0
  for await (const chunk of chunksOf(incoming, BODY_BYTES_MAX)) {
    let start = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      // Most lines come in one piece, which need not be copied.
      if (parts.length === 0) yield chunk.toString('utf8', start, end)
      else yield Buffer.concat([...parts, chunk.subarray(start, end)]).toString('utf8')
      parts = []
      size = 0
      start = end + 1
    }
    if (start === chunk.length) continue
    parts.push(chunk.subarray(start))
    size += chunk.length - start
    if (size > LINE_BYTES_MAX) throw new WireError(`a line is longer than ${LINE_BYTES_MAX} bytes`)
  }
  if (parts.length > 0) yield Buffer.concat(parts).toString('utf8')
}

async function* chunksOf(incoming: Readable, bytesMax: number): AsyncGenerator<Buffer> {
  let total = 0
  try {
    for await (const chunk of incoming) {
      const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
      total += bytes.length
      if (total > bytesMax) throw new Error(`the body is longer than ${bytesMax} bytes`)
      yield bytes
    }
  } catch (cause) {
    throw new WireError(`answer broke off: ${textOf(cause)}`, { cause })
  }
}

function textOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : ''
  return cause.message === '' ? code : cause.message
}
