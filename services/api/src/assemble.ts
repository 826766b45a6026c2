/**
 * Builds what the API runs on: database, signing key, memory of the fleet, listener, housekeeping.
 * Takes settings; gives deps and a way to close them in order. Main and tests start from here.
 */
import { mkdir, readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { makeAskSts } from './aws/ask-sts.ts'
import { fileKeyring, givenKeyring } from './identity/keyring.ts'
import { parseOidcSettings, type OidcIssuer } from './identity/oidc-settings.ts'
import { OidcVerifier } from './identity/oidc.ts'
import { Sessions } from './identity/sessions.ts'
import { openSecretStore } from './secrets/secret-store.ts'
import { chainAuditTrail } from './store/audit-store.ts'
import { writeSecretFile } from './identity/signing-key.ts'
import { lockDataFolder } from './store/data-lock.ts'
import type { Streaks } from './status/quorum.ts'
import { openDatabase, type Connection, type Database } from './store/database.ts'
import { startEmbeddedPostgres } from './store/embedded-postgres.ts'
import { sessionsStamp } from './store/host-store.ts'
import { startListener } from './store/listener.ts'
import { migrateDatabase } from './store/migrate.ts'
import type { Deps, Log } from './verbs/deps.ts'
import { Counts } from './verbs/counts.ts'
import { EventFeed } from './verbs/event-feed.ts'
import { ControllerKeys } from './verbs/controller-keys.ts'
import { keyGiven, keyInFile, makeFirstApiKey, openController } from './verbs/first-start.ts'
import { keepHouse } from './verbs/housekeeping.ts'
import { LiveFleet } from './verbs/live-fleet.ts'
import { quorumRound } from './verbs/quorum-round.ts'
import { republishOldFormats } from './verbs/republish.ts'
import { RefusalLog } from './verbs/refusal-log.ts'
import type { Settings } from './env.ts'
import { DELIVERER_TIMES, startDeliverer, type DelivererTimes } from './webhooks/deliverer.ts'

export type Assembled = {
  readonly deps: Deps
  /** Secret and file of the first API key, when this start made it. */
  readonly firstKey: { readonly secret: string; readonly file: string } | undefined
  readonly databaseIs: string
  readonly close: () => Promise<void>
}

type AssembleSettings = Omit<Settings, 'listen' | 'metrics' | 'logLevel'> & {
  readonly delivererTimes?: DelivererTimes | undefined
}

const HOUSEKEEPING_MS = 60_000
const QUORUM_MS = 10_000
const STS_TIMEOUT_MS = 5_000

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
    await database.db.transaction(chainAuditTrail)
    const controllerKeys = await openKeys(database, settings, dataDir)
    const keyFile = join(dataDir, 'admin.key')
    const secret = await makeFirstApiKey({ database, now }, (text) =>
      writeSecretFile(keyFile, `${text}\n`),
    )
    const live = await LiveFleet.load(database)
    const events = await EventFeed.load(database, live.waiters)
    const { name, pollSeconds, requestsPerSecond } = settings
    const refusals = new RefusalLog(database, now, log)
    opened.push(() => refusals.flush())
    const deps: Deps = {
      database,
      live,
      events,
      counts: new Counts(),
      webhookRules: { allowHttp: settings.webhookHttp === 'any' },
      sessions: new Sessions(),
      oidc: new OidcVerifier(await readOidcIssuers(settings.oidcFile), now),
      refusals,
      controllerKeys,
      joinTokens:
        settings.joinTokens === undefined ? undefined : await openSecretStore(settings.joinTokens),
      askSts: makeAskSts({ endpoint: settings.stsEndpoint, timeoutMs: STS_TIMEOUT_MS }),
      name,
      pollSeconds,
      requestsPerSecond,
      accessTokenSeconds: settings.accessTokenSeconds,
      holdsPolls: true,
      now,
      log,
    }
    await republishOldFormats(deps)
    const listener = startListener(
      connection,
      hearChanges(deps),
      (error) => log.warn({ err: error }, 'not listening for changes; connecting again'),
      () => events.refresh(),
    )
    opened.push(listener.close)
    opened.push(repeatHousekeeping(deps))
    opened.push(repeatQuorum(deps))
    opened.push(startDeliverer(deps, settings.delivererTimes ?? DELIVERER_TIMES))
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

async function readOidcIssuers(file: string | undefined): Promise<OidcIssuer[]> {
  return file === undefined ? [] : parseOidcSettings(await readFile(file, 'utf8'), file)
}

/** The keys that sign; one that is given as text needs no file. */
async function openKeys(
  database: Database,
  settings: AssembleSettings,
  dataDir: string,
): Promise<ControllerKeys> {
  const file = settings.signingKeyFile ?? join(dataDir, 'signing.key')
  const given = settings.signingKeys
  const first = await openController(
    database,
    given[0] === undefined ? keyInFile(file) : keyGiven(given[0]),
  )
  const keys = new ControllerKeys(
    first,
    given.length === 0
      ? fileKeyring(first, join(dataDir, 'signing-keys'))
      : givenKeyring(async () => given),
  )
  await keys.refresh(database.db)
  return keys
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
  let stamp: string | undefined
  return async () => {
    await deps.controllerKeys.refresh(deps.database.db)
    // Too many writers wait: each of them refreshes as well.
    await deps.live.exclusive(() => deps.live.refresh())
    const now = await sessionsStamp(deps.database.db)
    if (stamp !== undefined && now !== stamp) deps.sessions.clear()
    stamp = now
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

function repeatQuorum(deps: Deps): () => Promise<void> {
  let running: Promise<void> | undefined
  let streaks: Streaks = new Map()
  const round = async (): Promise<void> => {
    try {
      streaks = await quorumRound(deps, streaks)
    } catch (error) {
      deps.log.warn({ err: error }, 'counting health failed')
    } finally {
      running = undefined
    }
  }
  const timer = setInterval(() => {
    running ??= round()
  }, QUORUM_MS)
  timer.unref()
  return async () => {
    clearInterval(timer)
    await running
  }
}
