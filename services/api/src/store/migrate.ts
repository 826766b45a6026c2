/** Brings the tables up to date, one process at a time: drizzle's migrate() takes no lock of its own. */
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate } from 'drizzle-orm/node-postgres/migrator'
import pg from 'pg'
import { clientConfig, sqlState, type Connection, type Queryable } from './database.ts'

/** Any constant works as long as nothing else in the database uses it: "lvsm". */
const MIGRATION_LOCK = 0x6c76736d
const MIGRATION_TIMEOUT_MS = 300_000
/** SQLSTATE: a database that nobody ever migrated. */
const UNDEFINED_TABLE = '42P01'

/** Beside a bundle, or at the root of the repository. */
export const MIGRATIONS_FOLDER =
  ['./migrations', '../../../../migrations']
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(path)) ?? 'migrations'

export async function migrateDatabase(
  connection: Connection,
  folder = MIGRATIONS_FOLDER,
): Promise<void> {
  const client = new pg.Client({
    ...clientConfig(connection),
    statement_timeout: MIGRATION_TIMEOUT_MS,
    query_timeout: MIGRATION_TIMEOUT_MS,
  })
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK])
    await migrate(drizzle({ client }), { migrationsFolder: folder })
  } finally {
    // Ending the session releases the lock.
    await client.end()
  }
}

/** How many migrations the database lacks; a database that is ahead of this program lacks none. */
export async function missingMigrations(
  db: Queryable,
  folder = MIGRATIONS_FOLDER,
): Promise<number> {
  const known = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  const applied = await db
    .$count(sql`drizzle.__drizzle_migrations`)
    .catch((error: unknown) => (sqlState(error) === UNDEFINED_TABLE ? 0 : Promise.reject(error)))
  return Math.max(0, known.length - applied)
}
