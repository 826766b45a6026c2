/**
 * One instance of a function, as Lambda runs it: a process with the runtime client, and the Runtime API on loopback
 * that gives it one event at a time. The client is the real one (aws-lambda-ric) where LVSFLEET_LAMBDA_CLIENT
 * names it, and a plain one otherwise.
 */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const PLAIN_CLIENT = fileURLToPath(new URL('plain-client.mjs', import.meta.url))
export const RUNTIME_CLIENT = process.env['LVSFLEET_LAMBDA_CLIENT'] ?? PLAIN_CLIENT

export type Invoked =
  | { readonly ok: true; readonly payload: unknown }
  | { readonly ok: false; readonly error: { errorType?: string; errorMessage?: string } }

export type Instance = {
  /** From the start of the process to its first question for an event, in ms. */
  readonly initMs: Promise<number>
  readonly invoke: (event: unknown) => Promise<Invoked>
  readonly output: () => string
  readonly pid: number | undefined
  /** As between two requests: nothing of the process runs. */
  readonly freeze: () => void
  readonly thaw: () => void
  readonly close: () => Promise<void>
}

export async function startInstance(
  folder: string,
  handler: string,
  env: Readonly<Record<string, string>>,
): Promise<Instance> {
  const queue: { event: unknown; done: (result: Invoked) => void }[] = []
  const running = new Map<string, (result: Invoked) => void>()
  let waiting: ServerResponse | undefined
  let hasAsked: (ms: number) => void = () => {}
  let failedInit: (error: Error) => void = () => {}
  const initMs = new Promise<number>((resolve, reject) => {
    hasAsked = resolve
    failedInit = reject
  })
  initMs.catch(() => {})

  const pump = () => {
    if (waiting === undefined) return
    const next = queue.shift()
    if (next === undefined) return
    const id = randomUUID()
    running.set(id, next.done)
    waiting.writeHead(200, {
      'content-type': 'application/json',
      'lambda-runtime-aws-request-id': id,
      'lambda-runtime-deadline-ms': String(Date.now() + 30_000),
      'lambda-runtime-invoked-function-arn':
        'arn:aws:lambda:eu-central-1:123456789012:function:api',
      'lambda-runtime-trace-id': 'Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0',
    })
    waiting.end(JSON.stringify(next.event))
    waiting = undefined
  }

  const server = createServer(async (request, response) => {
    const path = request.url ?? ''
    if (path.endsWith('/invocation/next')) {
      hasAsked(performance.now() - startedAt)
      waiting = response
      pump()
      return
    }
    const body: unknown = JSON.parse((await text(request)) || 'null')
    const [, id = '', what] = /\/invocation\/([\w-]+)\/(response|error)$/.exec(path) ?? []
    if (path.endsWith('/init/error')) failedInit(new Error(JSON.stringify(body)))
    else if (what === 'response') running.get(id)?.({ ok: true, payload: body })
    else running.get(id)?.({ ok: false, error: body as object })
    running.delete(id)
    response.writeHead(202).end('{}')
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo

  const startedAt = performance.now()
  const child = spawn(process.execPath, [RUNTIME_CLIENT, handler], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'] ?? '',
      AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${port}`,
      AWS_LAMBDA_FUNCTION_NAME: 'api',
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '512',
      LAMBDA_TASK_ROOT: folder,
      _HANDLER: handler,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      failedInit(new Error(`the instance ended: ${output}`))
      for (const done of running.values())
        done({ ok: false, error: { errorType: 'Runtime.ExitError', errorMessage: output } })
      running.clear()
      resolve()
    })
  })
  return {
    initMs,
    invoke: (event) =>
      new Promise((done) => {
        queue.push({ event, done })
        pump()
      }),
    output: () => output,
    pid: child.pid,
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => child.kill('SIGCONT'),
    close: async () => {
      child.kill('SIGKILL')
      await ended
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}
