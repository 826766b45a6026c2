/** Settings: the only reader of the environment. Takes variables; gives checked values or says which is wrong. */
import * as z from 'zod'
import { parseSigningKey, type Signer } from './identity/signing-key.ts'

const listenSchema = z.string().transform((text, ctx) => {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match !== null && port <= 65_535) return { host: match[1] ?? match[2] ?? '', port }
  ctx.addIssue({
    code: 'custom',
    message: 'must be HOST:PORT, such as 127.0.0.1:8080 or [::]:8080',
  })
  return z.NEVER
})

const signingKeySchema = z.string().transform((text, ctx): Signer => {
  try {
    return parseSigningKey(text, 'it')
  } catch {
    ctx.addIssue({ code: 'custom', message: 'is no Ed25519 private key (PKCS #8 PEM)' })
    return z.NEVER
  }
})

/** Several, one block after the other. */
const signingKeysSchema = z
  .string()
  .transform((text) => text.split(/(?<=-----END [A-Z ]+-----)/).filter((block) => /\S/.test(block)))
  .pipe(z.array(signingKeySchema).min(1).max(32))

/** Also a setting of the function on Lambda. */
export const accessTokenSecondsSchema = z.coerce.number().int().min(10).max(3_600).default(900)

const envSchema = z.object({
  /** Where to listen. Port 0 takes any free port. */
  LVSFLEET_LISTEN: listenSchema.default({ host: '127.0.0.1', port: 8080 }),
  /** Folder of the embedded database, the signing key and the first API key. */
  LVSFLEET_DATA: z.string().min(1).default('.lvsfleet'),
  /** A Postgres to use instead of the embedded one. */
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, { error: 'must start with postgres:// or postgresql://' })
    .optional(),
  /** Largest number of connections to the database. */
  LVSFLEET_DATABASE_POOL: z.coerce.number().int().min(2).max(200).default(10),
  /** Audience of the agents' assertions: the configured name of this API, never the Host that arrived. */
  LVSFLEET_NAME: z.string().min(1).max(200).default('lvsfleet'),
  LVSFLEET_SIGNING_KEY_FILE: z.string().min(1).optional(),
  /** The key of the beginning (PKCS #8 PEM) instead of a file, and those that follow it, one at each rotation, in order. */
  LVSFLEET_SIGNING_KEY: signingKeySchema.optional(),
  LVSFLEET_NEXT_SIGNING_KEY: signingKeysSchema.optional(),
  /** Where a join token is kept for each site and role: ssm:/PREFIX or file:/FOLDER. */
  LVSFLEET_JOIN_TOKENS: z
    .string()
    .regex(/^(ssm|file):\/./, { error: 'must be ssm:/PREFIX or file:/FOLDER' })
    .optional(),
  /** Where AWS identities are checked instead of at STS itself: for tests, and where a proxy leads there. */
  LVSFLEET_STS_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
  /** Seconds that agents wait between polls when they do not hold one open. */
  LVSFLEET_POLL_SECONDS: z.coerce.number().int().min(1).max(3_600).default(10),
  /** Requests a second of one identity in the long run; ten times as many may come at once. */
  LVSFLEET_REQUESTS_PER_SECOND: z.coerce.number().int().min(1).max(100_000).default(200),
  /** Life of an agent's access token: within it a copy of a host is noticed, and all have heard of an announced key. */
  LVSFLEET_ACCESS_TOKEN_SECONDS: accessTokenSecondsSchema,
  /** JSON file that says which OIDC issuers are believed and what their claims allow: docs/access.md. */
  LVSFLEET_OIDC_FILE: z.string().min(1).optional(),
  /** Where Prometheus is answered at /metrics, or `off`. */
  LVSFLEET_METRICS: z
    .literal('off')
    .transform(() => null)
    .or(listenSchema)
    .default({ host: '127.0.0.1', port: 9615 }),
  /** Where webhooks may go by plain http: to this machine only, or anywhere. */
  LVSFLEET_WEBHOOK_HTTP: z.enum(['loopback', 'any']).default('loopback'),
  LVSFLEET_LOG: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
})

export type Settings = {
  readonly listen: { readonly host: string; readonly port: number }
  readonly dataDir: string
  readonly databaseUrl: string | undefined
  readonly poolMax: number
  readonly name: string
  readonly signingKeyFile: string | undefined
  /** That of the beginning, then those that follow; empty = from files. */
  readonly signingKeys: readonly Signer[]
  readonly stsEndpoint: URL | undefined
  readonly joinTokens: string | undefined
  readonly pollSeconds: number
  readonly requestsPerSecond: number
  readonly accessTokenSeconds: number
  readonly oidcFile: string | undefined
  /** undefined = off. */
  readonly metrics: { readonly host: string; readonly port: number } | undefined
  readonly webhookHttp: 'loopback' | 'any'
  readonly logLevel: string
}

/** As it was given: secrets may be named in it instead of told. */
export function readEnv(): Readonly<Record<string, string | undefined>> {
  return process.env
}

/** Throws an Error whose message names every wrong variable. */
export function parseEnv(env: Readonly<Record<string, string | undefined>>): Settings {
  const parsed = envSchema.safeParse(env)
  if (!parsed.success) throw wrongSettings(parsed.error)
  const values = parsed.data
  return {
    listen: values.LVSFLEET_LISTEN,
    dataDir: values.LVSFLEET_DATA,
    databaseUrl: values.DATABASE_URL,
    poolMax: values.LVSFLEET_DATABASE_POOL,
    name: values.LVSFLEET_NAME,
    signingKeyFile: values.LVSFLEET_SIGNING_KEY_FILE,
    signingKeys: [values.LVSFLEET_SIGNING_KEY, ...(values.LVSFLEET_NEXT_SIGNING_KEY ?? [])].filter(
      (one) => one !== undefined,
    ),
    joinTokens: values.LVSFLEET_JOIN_TOKENS,
    stsEndpoint:
      values.LVSFLEET_STS_ENDPOINT === undefined
        ? undefined
        : new URL(values.LVSFLEET_STS_ENDPOINT),
    pollSeconds: values.LVSFLEET_POLL_SECONDS,
    requestsPerSecond: values.LVSFLEET_REQUESTS_PER_SECOND,
    accessTokenSeconds: values.LVSFLEET_ACCESS_TOKEN_SECONDS,
    oidcFile: values.LVSFLEET_OIDC_FILE,
    metrics: values.LVSFLEET_METRICS ?? undefined,
    webhookHttp: values.LVSFLEET_WEBHOOK_HTTP,
    logLevel: values.LVSFLEET_LOG,
  }
}

export function wrongSettings(error: z.ZodError): Error {
  const lines = error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`)
  return new Error(`settings are wrong: ${lines.join('; ')}`)
}
