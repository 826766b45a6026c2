/**
 * Settings of the API as an AWS Lambda function. Secrets are never among them: variables name the parameters of
 * AWS Systems Manager that hold them.
 */
import * as z from 'zod'
import { accessTokenSecondsSchema, readEnv, wrongSettings } from '../env.ts'

const parameterName = z.string().regex(/^\/[\w.-]+(\/[\w.-]+)*$/, {
  error: 'must be the full name of a parameter, such as /lvsfleet/prod/signing-key',
})

/** Rotations that one installation names keys for. */
const KEYS_MAX = 32

const lambdaEnvSchema = z
  .object({
    /** Without a password where one of the two settings below says how to log in. */
    DATABASE_URL: z.url({
      protocol: /^postgres(ql)?$/,
      error: 'must start with postgres:// or postgresql://',
    }),
    /** `password` = in the URL or in the parameter below; `rds-iam` = a token of 15 minutes for each new connection. */
    LVSFLEET_DATABASE_AUTH: z.enum(['password', 'rds-iam']).default('password'),
    LVSFLEET_DATABASE_PASSWORD_PARAMETER: parameterName.optional(),
    /** PKCS #8 PEM of the controller's Ed25519 key; the migrate function makes it for a new database. */
    LVSFLEET_SIGNING_KEY_PARAMETER: parameterName,
    /** Those that follow it, one at each rotation, in order and with commas: docs/serverless.md. Read when they are needed. */
    LVSFLEET_NEXT_SIGNING_KEY_PARAMETERS: z
      .string()
      .transform((text) => text.split(',').map((name) => name.trim()))
      .pipe(z.array(parameterName).max(KEYS_MAX))
      .optional(),
    /** Where the migrate function puts the first API key. */
    LVSFLEET_ADMIN_KEY_PARAMETER: parameterName.optional(),
    LVSFLEET_NAME: z.string().min(1).max(200).default('lvsfleet'),
    LVSFLEET_POLL_SECONDS: z.coerce.number().int().min(1).max(3_600).default(10),
    /** How old an agent's answer may be, in milliseconds: within it a poll asks no database. Operators never wait for it. */
    LVSFLEET_AGENT_MAX_AGE_MS: z.coerce.number().int().min(0).max(60_000).default(1_000),
    LVSFLEET_ACCESS_TOKEN_SECONDS: accessTokenSecondsSchema,
    /** Where housekeeping keeps a join token for each site and role; the function's role must be allowed to write there. */
    LVSFLEET_JOIN_TOKENS: z
      .string()
      .regex(/^ssm:\/./, { error: 'must be ssm:/PREFIX' })
      .optional(),
    /** Where AWS identities are checked instead of at STS itself: for tests, and where a proxy leads there. */
    LVSFLEET_STS_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
    /** `loopback`: webhooks may go to this machine, for tests. On AWS that is the runtime's own API. */
    LVSFLEET_WEBHOOK_HTTP: z.enum(['none', 'loopback']).default('none'),
    LVSFLEET_LOG: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
    AWS_REGION: z.string().min(1),
  })
  .refine(
    (env) =>
      env.LVSFLEET_DATABASE_AUTH === 'password' ||
      env.LVSFLEET_DATABASE_PASSWORD_PARAMETER === undefined,
    {
      path: ['LVSFLEET_DATABASE_PASSWORD_PARAMETER'],
      error: 'has no meaning with LVSFLEET_DATABASE_AUTH=rds-iam',
    },
  )

export type LambdaSettings = {
  readonly databaseUrl: URL
  readonly databaseAuth: 'password' | 'rds-iam'
  readonly passwordParameter: string | undefined
  readonly signingKeyParameter: string
  readonly nextSigningKeyParameters: readonly string[]
  readonly adminKeyParameter: string | undefined
  readonly name: string
  readonly pollSeconds: number
  readonly agentMaxAgeMs: number
  readonly accessTokenSeconds: number
  readonly joinTokens: string | undefined
  readonly stsEndpoint: URL | undefined
  readonly webhookHttp: 'none' | 'loopback'
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'
  readonly region: string
}

/** Throws an Error whose message names every wrong variable. */
export function parseLambdaEnv(env = readEnv()): LambdaSettings {
  const parsed = lambdaEnvSchema.safeParse(env)
  if (!parsed.success) throw wrongSettings(parsed.error)
  const values = parsed.data
  return {
    databaseUrl: new URL(values.DATABASE_URL),
    databaseAuth: values.LVSFLEET_DATABASE_AUTH,
    passwordParameter: values.LVSFLEET_DATABASE_PASSWORD_PARAMETER,
    signingKeyParameter: values.LVSFLEET_SIGNING_KEY_PARAMETER,
    nextSigningKeyParameters: values.LVSFLEET_NEXT_SIGNING_KEY_PARAMETERS ?? [],
    adminKeyParameter: values.LVSFLEET_ADMIN_KEY_PARAMETER,
    name: values.LVSFLEET_NAME,
    pollSeconds: values.LVSFLEET_POLL_SECONDS,
    agentMaxAgeMs: values.LVSFLEET_AGENT_MAX_AGE_MS,
    accessTokenSeconds: values.LVSFLEET_ACCESS_TOKEN_SECONDS,
    joinTokens: values.LVSFLEET_JOIN_TOKENS,
    stsEndpoint:
      values.LVSFLEET_STS_ENDPOINT === undefined
        ? undefined
        : new URL(values.LVSFLEET_STS_ENDPOINT),
    webhookHttp: values.LVSFLEET_WEBHOOK_HTTP,
    logLevel: values.LVSFLEET_LOG,
    region: values.AWS_REGION,
  }
}
