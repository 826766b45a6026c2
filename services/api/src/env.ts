/** Settings: the only reader of the environment. Takes variables; gives checked values or says which is wrong. */
import * as z from 'zod'

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
  /** Seconds that agents wait between polls when they do not hold one open. */
  LVSFLEET_POLL_SECONDS: z.coerce.number().int().min(1).max(3_600).default(10),
  LVSFLEET_LOG: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
})

export type Settings = {
  readonly listen: { readonly host: string; readonly port: number }
  readonly dataDir: string
  readonly databaseUrl: string | undefined
  readonly poolMax: number
  readonly name: string
  readonly signingKeyFile: string | undefined
  readonly pollSeconds: number
  readonly logLevel: string
}

/** The variables, for parts that have settings of their own. */
export const environment = (): Readonly<Record<string, string | undefined>> => process.env

/** Throws an Error whose message names every wrong variable. */
export function parseEnv(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Settings {
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
    pollSeconds: values.LVSFLEET_POLL_SECONDS,
    logLevel: values.LVSFLEET_LOG,
  }
}

export function wrongSettings(error: z.ZodError): Error {
  const lines = error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`)
  return new Error(`settings are wrong: ${lines.join('; ')}`)
}
