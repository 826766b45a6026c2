/**
 * Builds what the API runs on: database, signing key, memory of the fleet, listener, housekeeping.
 * Takes settings; gives deps and a way to close them in order. Main and tests start from here.
 */
import { mkdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { Sessions } from './identity/sessions.ts'
import { writeSecretFile } from './identity/signing-key.ts'
import { lockDataFolder } from './store/data-lock.ts'
import { openDatabase, type Connection } from './store/database.ts'
import { startEmbeddedPostgres } from './store/embedded-postgres.ts'
import { countRevoked } from './store/host-store.ts'
import { startListener } from './store/listener.ts'
import { migrateDatabase } from './store/migrate.ts'
import type { Deps, Log } from './verbs/deps.ts'
import { keyInFile, makeFirstApiKey, openController } from './verbs/first-start.ts'
import { keepHouse } from './verbs/housekeeping.ts'
import { LiveFleet } from './verbs/live-fleet.ts'
import type { Settings } from './env.ts'

export type Assembled = {
  readonly deps: Deps
  /** Secret and file of the first API key, when this start made it. */
  readonly firstKey: { readonly secret: string; readonly file: string } | undefined
  readonly databaseIs: string
  readonly close: () => Promise<void>
}

type AssembleSettings = Omit<Settings, 'listen' | 'logLevel'>

const HOUSEKEEPING_MS = 60_000

export async function assemble(
  settings: AssembleSettings,
  log: Log,
  now: () => Date = () => new Date(),
): Promise<Assembled> {
  // Closed in reverse: what was opened last goes first. Also when a later step fails.
  const opened: (() => Promise<void>)[] = []
  const close = async () => {
    for (const step of opened.splice(0).reverse()) await step()
  }
  try {
    const dataDir = await openDataFolder(settings.dataDir)
    const connection = await openServer(settings, dataDir, log, opened)
    await migrateDatabase(connection)
    const database = openDatabase(connection, settings.poolMax)
    opened.push(database.close)
    const signer = await openController(
      database,
      keyInFile(settings.signingKeyFile ?? join(dataDir, 'signing.key')),
    )
    const keyFile = join(dataDir, 'admin.key')
    const secret = await makeFirstApiKey({ database, now }, (text) =>
      writeSecretFile(keyFile, `${text}\n`),
    )
    const live = await LiveFleet.load(database)
    const { name, pollSeconds } = settings
    const deps: Deps = {
      database,
      live,
      sessions: new Sessions(),
      signer,
      name,
      pollSeconds,
      holdsPolls: true,
      now,
      log,
    }
    const listener = startListener(connection, hearChanges(deps), (error) =>
      log.warn({ err: error }, 'not listening for changes; connecting again'),
    )
    opened.push(listener.close)
    opened.push(repeatHousekeeping(deps))
    return {
      deps,
      firstKey: secret === undefined ? undefined : { secret, file: keyFile },
      databaseIs:
        settings.databaseUrl === undefined
          ? `embedded Postgres in ${dataDir}`
          : 'Postgres at DATABASE_URL',
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function openDataFolder(path: string): Promise<string> {
  await mkdir(path, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 })
  return realpath(path)
}

async function openServer(
  settings: AssembleSettings,
  dataDir: string,
  log: Log,
  opened: (() => Promise<void>)[],
): Promise<Connection> {
  if (settings.databaseUrl !== undefined) return { connectionString: settings.databaseUrl }
  const lock = await lockDataFolder(dataDir)
  opened.push(lock.release)
  const server = await startEmbeddedPostgres(dataDir, (level, message, fields) =>
    log[level](fields ?? {}, message),
  )
  opened.push(server.stop)
  return server.connection
}

/** Reads what other processes wrote; drops sessions when an identity was revoked somewhere. */
function hearChanges(deps: Deps): () => Promise<void> {
  let revoked: number | undefined
  return async () => {
    // Too many writers wait: each of them refreshes as well.
    await deps.live.exclusive(() => deps.live.refresh())
    const count = await countRevoked(deps.database.db)
    if (revoked !== undefined && count !== revoked) deps.sessions.clear()
    revoked = count
  }
}

function repeatHousekeeping(deps: Deps): () => Promise<void> {
  let running: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    running = keepHouse(deps).catch((error: unknown) =>
      deps.log.warn({ err: error }, 'housekeeping failed'),
    )
  }, HOUSEKEEPING_MS)
  timer.unref()
  return async () => {
    clearInterval(timer)
    await running
  }
}
