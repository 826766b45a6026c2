/**
 * Database: the connection pool and drizzle over it. Takes connection settings; gives `db`, transactions
 * and a look at whether an error means "the database is away" (which is never the caller's fault).
 */
import { drizzle } from 'drizzle-orm/node-postgres'
import pg from 'pg'

export type Connection = Pick<
  pg.PoolConfig,
  'connectionString' | 'host' | 'port' | 'user' | 'password' | 'database' | 'ssl' | 'options'
>

export type Db = ReturnType<typeof makeDrizzle>
export type Tx = Parameters<Parameters<Db['transaction']>[0]>[0]
/** What a query function takes: inside a transaction, or on its own. */
export type Queryable = Db | Tx

export type Database = {
  readonly db: Db
  readonly pool: pg.Pool
  readonly connection: Connection
  /** Queries sent since the start: tests hold that an idle poll sends none. */
  readonly queryCount: () => number
  readonly close: () => Promise<void>
}

const CONNECT_TIMEOUT_MS = 5_000
const STATEMENT_TIMEOUT_MS = 30_000

/** One place for what every connection has; also for clients outside the pool. */
export function clientConfig(connection: Connection): pg.ClientConfig {
  return {
    ...connection,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: STATEMENT_TIMEOUT_MS + 5_000,
    idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'lvsfleet',
  }
}

export function openDatabase(connection: Connection, poolMax: number): Database {
  const pool = new pg.Pool({ ...clientConfig(connection), max: poolMax, idleTimeoutMillis: 30_000 })
  // A connection that breaks while idle is replaced by the pool; without a listener the error would end the process.
  pool.on('error', () => {})
  let queries = 0
  pool.on('connect', (client) => {
    client.on('error', () => {})
  })
  const db = makeDrizzle(pool, () => {
    queries += 1
  })
  return { db, pool, connection, queryCount: () => queries, close: () => pool.end() }
}

function makeDrizzle(client: pg.Pool, onQuery: () => void) {
  return drizzle({ client, logger: { logQuery: onQuery } })
}

/** Class 08 connection, 53 resources, 57 operator intervention (shutdown, crash, time limit), 58 system. */
const AWAY_STATES = /^(08|53|57|58)/
const AWAY_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'ENOTFOUND',
])
const AWAY_TEXT =
  /connection terminated|timeout exceeded when trying to connect|query read timeout|not queryable|client was closed|not currently accepting connections/i

/** Whether the error, or what caused it, says that the database is away or overloaded. */
export function isDatabaseAway(error: unknown): boolean {
  for (let e = error, depth = 0; e instanceof Error && depth < 5; e = e.cause, depth++) {
    const code = 'code' in e && typeof e.code === 'string' ? e.code : ''
    if (AWAY_STATES.test(code) || AWAY_CODES.has(code) || AWAY_TEXT.test(e.message)) return true
  }
  return false
}

/** The SQLSTATE of the error or of what caused it. */
export function sqlState(error: unknown): string | undefined {
  for (let e = error, depth = 0; e instanceof Error && depth < 5; e = e.cause, depth++) {
    if ('code' in e && typeof e.code === 'string' && /^[0-9A-Z]{5}$/.test(e.code)) return e.code
  }
  return undefined
}

/** A lock that was held for too long, a deadlock, a serialisation failure: nothing was written. */
const OVERTAKEN = new Set(['55P03', '40P01', '40001'])

export function isOvertaken(error: unknown): boolean {
  return OVERTAKEN.has(sqlState(error) ?? '')
}
