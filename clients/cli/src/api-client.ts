/** Calls to the API over its published HTTP contract; problems come back as CliErrors with every field named. */
import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import { CliError } from './cli-error.ts'
import type { Config } from './config.ts'

const TIMEOUT_MS = 60_000

const problemSchema = z.object({
  title: z.string().optional(),
  detail: z.string().optional(),
  code: z.string().optional(),
  errors: z
    .array(z.object({ pointer: z.string(), object: z.string().optional(), message: z.string() }))
    .optional(),
})

export type Answer = {
  readonly status: number
  readonly etag: string | null
  readonly text: string
}

export type Request = {
  readonly method?: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: unknown
  readonly ifMatch?: string | undefined
}

export type ApiClient = {
  /** The answer's text; throws CliError on anything but 2xx. */
  readonly send: (request: Request) => Promise<Answer>
  /** The answer parsed as JSON, unchecked: for printing what the API says. */
  readonly json: (request: Request) => Promise<unknown>
  /** The answer's bytes as they come, for as long as they come. */
  readonly stream: (request: Request) => Promise<AsyncIterable<Uint8Array>>
}

export function createApiClient(config: Config): ApiClient {
  const send = async (request: Request): Promise<Answer> => {
    const answer = await call(config, request)
    if (answer.status >= 400) throw problemToError(answer, request)
    return answer
  }
  return {
    send,
    json: async (request) => JSON.parse((await send(request)).text) as unknown,
    stream: async (request) => {
      const response = await open(config, request)
      if (response.status >= 400) {
        throw problemToError(
          { status: response.status, etag: null, text: await response.text() },
          request,
        )
      }
      return untilSilent(response.body ?? new ReadableStream())
    },
  }
}

/** Longer than the API's heartbeat by far: a connection that is silent for so long is dead. */
const SILENCE_MS = 45_000

async function* untilSilent(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader()
  try {
    for (;;) {
      const silence = new AbortController()
      const { value, done } = await Promise.race([
        reader.read(),
        sleep(SILENCE_MS, undefined, { signal: silence.signal }).then(() => {
          throw new Error('nothing was heard for 45 s')
        }),
      ]).finally(() => silence.abort())
      if (done) return
      yield value
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}

/** Resolves with the head of the answer. */
async function open(config: Config, { path, query }: Request): Promise<Response> {
  const connecting = new AbortController()
  const timer = setTimeout(() => connecting.abort(new Error('no answer in time')), TIMEOUT_MS)
  try {
    const headers = { authorization: `Bearer ${config.key}`, accept: 'text/event-stream' }
    return await fetch(urlOf(config, path, query), { headers, signal: connecting.signal })
  } catch (cause) {
    throw new CliError(`cannot reach the API at ${config.api}: ${reasonOf(cause)}`, 3)
  } finally {
    clearTimeout(timer)
  }
}

function urlOf(config: Config, path: string, query: Request['query'] = {}): URL {
  const url = new URL(config.api + path)
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, value)
  }
  return url
}

async function call(config: Config, request: Request): Promise<Answer> {
  const url = urlOf(config, request.path, request.query)
  const method = request.method ?? 'GET'
  const headers = new Headers({ authorization: `Bearer ${config.key}` })
  if (request.ifMatch !== undefined) headers.set('if-match', request.ifMatch)
  if (request.body !== undefined) {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
    headers.set('content-type', type)
  }
  const body = request.body === undefined ? null : JSON.stringify(request.body)
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const response = await fetch(url, { method, headers, body, signal })
    return {
      status: response.status,
      etag: response.headers.get('etag'),
      text: await response.text(),
    }
  } catch (cause) {
    throw new CliError(`cannot reach the API at ${config.api}: ${reasonOf(cause)}`, 3)
  }
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  return cause.cause instanceof Error ? cause.cause.message : cause.message
}

function problemToError(answer: Answer, request: Request): CliError {
  let parsed: unknown
  try {
    parsed = JSON.parse(answer.text)
  } catch {
    parsed = {}
  }
  const problem = problemSchema.safeParse(parsed)
  const said = problem.success ? (problem.data.detail ?? problem.data.title) : undefined
  const lines = [said ?? `${request.method ?? 'GET'} ${request.path} answered ${answer.status}`]
  for (const error of problem.data?.errors ?? []) {
    if (said?.includes(`${error.pointer}: ${error.message}`) === true) continue
    lines.push(
      `  ${error.pointer === '' ? (error.object ?? '(document)') : error.pointer}: ${error.message}`,
    )
  }
  return new CliError(lines.join('\n'), 1, problem.data?.code)
}
