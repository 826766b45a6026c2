/**
 * Builds what the API runs on as a Lambda function: many instances, each with one request at a time, on one Postgres.
 * No listener and no timers, because an instance is frozen between requests; no migrations, which are a step of
 * their own; nothing on disk.
 */
import { ApiError } from './errors.ts'
import { makeAskSts } from './aws/ask-sts.ts'
import { givenKeyring } from './identity/keyring.ts'
import type { Signer } from './identity/signing-key.ts'
import { OidcVerifier } from './identity/oidc.ts'
import { Sessions } from './identity/sessions.ts'
import { keyInParameter } from './serverless/controller-key.ts'
import { lambdaConnection } from './serverless/connection.ts'
import type { LambdaSettings } from './serverless/lambda-env.ts'
import { openParameters, secretsBelow, type Parameters } from './secrets/parameter-store.ts'
import { loadController } from './store/controller-store.ts'
import { openDatabase, type Database } from './store/database.ts'
import { migrateDatabase, missingMigrations } from './store/migrate.ts'
import { ControllerKeys } from './verbs/controller-keys.ts'
import { Counts } from './verbs/counts.ts'
import type { Deps, Log } from './verbs/deps.ts'
import { EventFeed } from './verbs/event-feed.ts'
import { makeFirstApiKey, openController, signerOf } from './verbs/first-start.ts'
import { LiveFleet } from './verbs/live-fleet.ts'
import { RefusalLog } from './verbs/refusal-log.ts'
import { republishOldFormats } from './verbs/republish.ts'

/** One request at a time needs one connection; a second one lets a read go beside an open transaction. */
const POOL_MAX = 2
const STS_TIMEOUT_MS = 5_000
/** Of one identity at one instance, which has one request at a time anyway. */
const REQUESTS_PER_SECOND = 200

/** Throws what to do when the database is not migrated or was signed by another key. */
export async function assembleLambda(settings: LambdaSettings, log: Log): Promise<Deps> {
  const parameters = openParameters(settings.region)
  const database = openDatabase(lambdaConnection(settings, parameters), POOL_MAX)
  try {
    const place = keyInParameter(parameters, settings.signingKeyParameter)
    const [held] = await Promise.all([place.read(), requireMigrated(database)])
    const known = await loadController(database.db)
    if (known === undefined) throw notMigrated('has no controller')
    const { name, pollSeconds } = settings
    const now = () => new Date()
    const live = await LiveFleet.load(database)
    const signer = signerOf(known, held, place.name)
    const followers = () => keysThatFollow(parameters, settings.nextSigningKeyParameters)
    const controllerKeys = new ControllerKeys(
      signer,
      givenKeyring(async () => [signer, ...(await followers())]),
    )
    await controllerKeys.refresh(database.db)
    return {
      database,
      live,
      events: await EventFeed.load(database, live.waiters),
      counts: new Counts(),
      webhookRules: { allowHttp: false, refuseLoopback: settings.webhookHttp === 'none' },
      sessions: new Sessions(),
      oidc: new OidcVerifier([], now),
      refusals: new RefusalLog(database, now, log),
      controllerKeys,
      joinTokens:
        settings.joinTokens === undefined
          ? undefined
          : secretsBelow(settings.joinTokens.slice('ssm:'.length), parameters),
      askSts: makeAskSts({ endpoint: settings.stsEndpoint, timeoutMs: STS_TIMEOUT_MS }),
      name,
      pollSeconds,
      requestsPerSecond: REQUESTS_PER_SECOND,
      accessTokenSeconds: settings.accessTokenSeconds,
      holdsPolls: false,
      now,
      log,
    }
  } catch (error) {
    await database.close()
    throw error
  }
}

/** Asked for when a key is announced, or when another instance switched to one: no start waits for them. */
async function keysThatFollow(
  parameters: Parameters,
  names: readonly string[],
): Promise<readonly Signer[]> {
  const held = await Promise.all(names.map((name) => keyInParameter(parameters, name).read()))
  return held.filter((one) => one !== undefined)
}

async function requireMigrated(database: Database): Promise<void> {
  const missing = await missingMigrations(database.db)
  if (missing > 0) throw notMigrated(`lacks ${missing} migration(s)`)
}

function notMigrated(what: string): ApiError {
  return new ApiError(
    'database-unavailable',
    `the database ${what}: invoke the migrate function of this version, then ask again`,
    { headers: { 'retry-after': '10' } },
  )
}

/** Makes the first of the keys that are to follow and is not there yet, for `announce`; gives where. */
export async function makeNextKey(settings: LambdaSettings): Promise<NextKey> {
  const parameters = openParameters(settings.region)
  for (const name of settings.nextSigningKeyParameters) {
    const place = keyInParameter(parameters, name)
    if ((await place.read()) !== undefined) continue
    return { parameter: name, controllerKey: (await place.make()).thumbprint }
  }
  throw new Error(
    'no parameter is free for another key: name one more in LVSFLEET_NEXT_SIGNING_KEY_PARAMETERS',
  )
}

export type NextKey = { readonly parameter: string; readonly controllerKey: string }

export type Migrated = {
  /** Where the first API key is, when this run made it. */
  readonly adminKeyParameter: string | null
  readonly controllerKey: string
}

/** The step before a new version serves. Safe to repeat, and to run twice at once. */
export async function migrateForLambda(settings: LambdaSettings, log: Log): Promise<Migrated> {
  const { adminKeyParameter } = settings
  if (adminKeyParameter === undefined)
    throw new Error(
      'settings are wrong: LVSFLEET_ADMIN_KEY_PARAMETER must name where the first API key goes',
    )
  const parameters = openParameters(settings.region)
  const connection = lambdaConnection(settings, parameters)
  await migrateDatabase(connection)
  const database = openDatabase(connection, POOL_MAX)
  try {
    const place = keyInParameter(parameters, settings.signingKeyParameter)
    const signer = await openController(database, place)
    const secret = await makeFirstApiKey({ database, now: () => new Date() }, (text) =>
      parameters.create(adminKeyParameter, text),
    )
    await republish(settings, log)
    return {
      adminKeyParameter: secret === undefined ? null : adminKeyParameter,
      controllerKey: signer.thumbprint,
    }
  } finally {
    await database.close()
  }
}

/** Here and not at the start of each instance, of which there are many at once. */
async function republish(settings: LambdaSettings, log: Log): Promise<void> {
  const deps = await assembleLambda(settings, log)
  try {
    await republishOldFormats(deps)
  } finally {
    await deps.database.close()
  }
}
