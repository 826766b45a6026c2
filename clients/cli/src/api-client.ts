/** Calls to the API over its published HTTP contract; problems come back as CliErrors with every field named. */
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
}

export function createApiClient(config: Config): ApiClient {
  const send = async (request: Request): Promise<Answer> => {
    const answer = await call(config, request)
    if (answer.status >= 400) throw problemToError(answer, request)
    return answer
  }
  return { send, json: async (request) => JSON.parse((await send(request)).text) as unknown }
}

async function call(config: Config, request: Request): Promise<Answer> {
  const url = new URL(config.api + request.path)
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, value)
  }
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
  return new CliError(lines.join('\n'), 1)
}
