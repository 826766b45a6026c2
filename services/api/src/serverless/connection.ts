/**
 * How a function reaches Postgres. Takes settings; gives connection settings whose password is asked for at each new
 * connection, so that one that rotates, or lives for a quarter of an hour, needs no restart.
 */
import type { Connection } from '../store/database.ts'
import type { Parameters } from '../secrets/parameter-store.ts'
import type { LambdaSettings } from './lambda-env.ts'

/**
 * Ends sessions on the server's side: an instance that was frozen and never woke up cannot say goodbye.
 * Longer than the pause between two polls of one agent, so that a busy instance keeps its connection.
 */
const IDLE_SESSION_MS = 5 * 60_000

export function lambdaConnection(
  settings: Pick<LambdaSettings, 'databaseUrl' | 'databaseAuth' | 'passwordParameter' | 'region'>,
  parameters: Pick<Parameters, 'read'>,
): Connection {
  const url = settings.databaseUrl
  const host = url.searchParams.get('host') ?? url.hostname
  const port = url.port === '' ? 5_432 : Number(url.port)
  const user = decodeURIComponent(url.username)
  const password = decodeURIComponent(url.password)
  const isPlain = host.startsWith('/') || url.searchParams.get('sslmode') === 'disable'
  return {
    host,
    port,
    user,
    database: decodeURIComponent(url.pathname.slice(1)),
    password: passwordFor(settings, parameters, { host, port, user, password }),
    // The chain and the name are checked; the functions' NODE_EXTRA_CA_CERTS brings the authorities of RDS.
    ssl: isPlain ? false : { rejectUnauthorized: true },
    options: `-c idle_session_timeout=${IDLE_SESSION_MS}`,
  }
}

type Login = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
}

function passwordFor(
  settings: Pick<LambdaSettings, 'databaseAuth' | 'passwordParameter' | 'region'>,
  parameters: Pick<Parameters, 'read'>,
  login: Login,
): string | (() => Promise<string>) {
  const name = settings.passwordParameter
  if (settings.databaseAuth === 'rds-iam') return () => rdsToken(settings.region, login)
  if (name === undefined) return login.password
  return async () => {
    const secret = await parameters.read(name)
    if (secret === undefined)
      throw new Error(`parameter ${name} with the database's password is missing`)
    return secret
  }
}

/** Signed here, without a call to AWS; good for 15 minutes, which bounds the login and not the session. */
async function rdsToken(region: string, { host, port, user }: Login): Promise<string> {
  const { Signer } = await import('@aws-sdk/rds-signer')
  return new Signer({ region, hostname: host, port, username: user }).getAuthToken()
}
