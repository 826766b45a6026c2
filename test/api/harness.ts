/**
 * A real API on a real Postgres, for tests: `const api = await startTestApi()` and `await api.close()`.
 * One Postgres server per test process, one database per API, copied from a migrated template. The server
 * stops when the last API of the process is closed.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chmod } from 'node:fs/promises'
import { getRequestListener } from '@hono/node-server'
import pg from 'pg'
import { assemble, type Assembled } from '../../services/api/src/assemble.ts'
import { createApp, type App } from '../../services/api/src/http/app.ts'
import type { StreamTimes } from '../../services/api/src/http/event-stream.ts'
import type { Signer } from '../../services/api/src/identity/signing-key.ts'
import type { Connection } from '../../services/api/src/store/database.ts'
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '../../services/api/src/store/embedded-postgres.ts'
import { migrateDatabase } from '../../services/api/src/store/migrate.ts'
import type { DelivererTimes } from '../../services/api/src/webhooks/deliverer.ts'
import { startFront } from '../lambda/front.ts'
import { lambdaEnv, lambdaFolder, NEXT_SIGNING_KEY, storeWithKeyOf } from '../lambda/world.ts'
import type { Deps, Log } from '../../services/api/src/verbs/deps.ts'

export type TestApi = {
  readonly url: string
  readonly adminKey: string
  readonly deps: Deps
  readonly app: App
  readonly databaseUrl: string
  /** Folder with the signing key and `admin.key`. */
  readonly dataDir: string
  /** A call with the admin key; a body is sent as JSON. */
  readonly call: (
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => Promise<TestAnswer>
  /** Gives up its address, as a process that ended does; `close` is still to be called. */
  readonly release: () => Promise<void>
  readonly close: () => Promise<void>
}

/** `body` is the parsed JSON, as the test expects it to be: tests assert on it. */
export type TestAnswer = {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly body: JsonBody
}
/** JSON whose shape the test asserts by reading it. */
// oxlint-disable-next-line typescript/no-explicit-any
export type JsonBody = any

export type TestApiOptions = {
  /** Join the database of another API: two processes on one Postgres. */
  readonly beside?: TestApi
  readonly name?: string
  readonly now?: () => Date
  /** A port to listen on again after a restart; 0 = any. */
  readonly port?: number
  readonly log?: Log
  readonly requestsPerSecond?: number
  readonly oidcFile?: string
  readonly streamTimes?: StreamTimes
  readonly delivererTimes?: DelivererTimes
  readonly stsEndpoint?: URL
  readonly joinTokens?: string
  /** Keys given as text, as from the environment; the first is that of the beginning. */
  readonly signingKeys?: readonly Signer[]
}

const QUIET: Log = {
  info: () => {},
  warn: () => {},
  error: (fields, message) => console.error(message, fields),
}

type SharedServer = { server: EmbeddedPostgres; dataDir: string; users: number; made: number }
let shared: Promise<SharedServer> | undefined

export async function startTestApi(options: TestApiOptions = {}): Promise<TestApi> {
  const postgres = await useServer()
  const dataDir = options.beside?.dataDir ?? (await mkdtemp(join(tmpdir(), 'lvsfleet-api-')))
  const databaseUrl = options.beside?.databaseUrl ?? (await newDatabase(postgres))
  let assembled: Assembled
  try {
    assembled = await assemble(
      {
        dataDir,
        databaseUrl,
        poolMax: 8,
        name: options.name ?? 'test-fleet',
        signingKeyFile: undefined,
        signingKeys: options.signingKeys ?? [],
        stsEndpoint: options.stsEndpoint,
        joinTokens: options.joinTokens,
        pollSeconds: 10,
        requestsPerSecond: options.requestsPerSecond ?? 10_000,
        accessTokenSeconds: 900,
        oidcFile: options.oidcFile,
        webhookHttp: 'loopback',
        delivererTimes: options.delivererTimes,
      },
      options.log ?? QUIET,
      options.now,
    )
  } catch (error) {
    await leaveServer()
    throw error
  }
  const adminKey = assembled.firstKey?.secret ?? options.beside?.adminKey ?? ''
  const app = createApp(assembled.deps, { streamTimes: options.streamTimes })
  const server = createServer(getRequestListener(app.fetch))
  await new Promise<void>((done) => server.listen(options.port ?? 0, '127.0.0.1', done))
  const lambda = isOnLambda(options) ? await startLambda(databaseUrl, dataDir) : undefined
  const url = lambda?.url ?? `http://127.0.0.1:${portOf(server)}`
  return {
    url,
    adminKey,
    deps: assembled.deps,
    app,
    databaseUrl,
    dataDir,
    call: makeCall(url, adminKey),
    release: () => release(server),
    close: async () => {
      await lambda?.close()
      assembled.deps.live.waiters.close()
      await release(server)
      await assembled.close()
      if (options.beside === undefined) await rm(dataDir, { recursive: true, force: true })
      await leaveServer()
    },
  }
}

/** LVSFLEET_TEST_ON=lambda: calls go to two instances of the function, beside this process. A test's own clock stays here. */
function isOnLambda(options: TestApiOptions): boolean {
  return process.env['LVSFLEET_TEST_ON'] === 'lambda' && options.now === undefined
}

async function startLambda(databaseUrl: string, dataDir: string) {
  const store = await storeWithKeyOf(dataDir)
  const env = {
    ...lambdaEnv(databaseUrl, store),
    LVSFLEET_NEXT_SIGNING_KEY_PARAMETERS: NEXT_SIGNING_KEY,
  }
  const front = await startFront(2, await lambdaFolder(), env)
  return {
    url: front.url,
    close: async () => {
      await front.close()
      await store.close()
    },
  }
}

export function makeCall(url: string, key: string): TestApi['call'] {
  return async (method, path, body, headers = {}) => {
    const response = await fetch(url + path, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson = /json/.test(response.headers.get('content-type') ?? '')
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson ? JSON.parse(text) : undefined,
    }
  }
}

/** A new empty database on this process's server, migrated. */
export async function newDatabase(postgres: SharedServer): Promise<string> {
  const name = `t${++postgres.made}`
  await administer(postgres.server.connection, `create database ${name} template migrated`)
  return urlOf(postgres.server.connection, name)
}

/** A database that nobody migrated, on the server of the APIs that are running. */
export async function emptyDatabase(): Promise<string> {
  const { server, made } = await (shared ?? Promise.reject(new Error('start an API first')))
  const name = `empty${made}_${process.hrtime.bigint()}`
  await administer(server.connection, `create database ${name}`)
  return urlOf(server.connection, name)
}

async function useServer(): Promise<SharedServer> {
  shared ??= startServer()
  const server = await shared
  server.users++
  return server
}

async function leaveServer(): Promise<void> {
  const server = await shared
  if (server === undefined || --server.users > 0) return
  shared = undefined
  await server.server.stop()
  await rm(server.dataDir, { recursive: true, force: true })
}

async function startServer(): Promise<SharedServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'lvsfleet-pg-'))
  await chmod(dataDir, 0o711)
  const server = await startEmbeddedPostgres(dataDir, () => {})
  await administer(server.connection, 'create database migrated')
  await migrateDatabase({ ...server.connection, database: 'migrated' })
  return { server, dataDir, users: 0, made: 0 }
}

async function administer(connection: Connection, statement: string): Promise<void> {
  const client = new pg.Client(connection)
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

function urlOf(connection: Connection, database: string): string {
  const password = typeof connection.password === 'string' ? connection.password : ''
  const query = new URLSearchParams({ host: connection.host ?? '' })
  return `postgres://${connection.user}:${encodeURIComponent(password)}@localhost/${database}?${query.toString()}`
}

async function release(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise((done) => server.close(done))
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}
