/**
 * Settings of the API as an AWS Lambda function. Secrets are never among them: variables name the parameters of
 * AWS Systems Manager that hold them.
 */
import * as z from 'zod'
import { readEnv, wrongSettings } from '../env.ts'

const parameterName = z.string().regex(/^\/[\w.-]+(\/[\w.-]+)*$/, {
  error: 'must be the full name of a parameter, such as /lvsfleet/prod/signing-key',
})

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
    /** Where the migrate function puts the first API key. */
    LVSFLEET_ADMIN_KEY_PARAMETER: parameterName.optional(),
    LVSFLEET_NAME: z.string().min(1).max(200).default('lvsfleet'),
    LVSFLEET_POLL_SECONDS: z.coerce.number().int().min(1).max(3_600).default(10),
    /** How old an agent's answer may be, in milliseconds: within it a poll asks no database. Operators never wait for it. */
    LVSFLEET_AGENT_MAX_AGE_MS: z.coerce.number().int().min(0).max(60_000).default(1_000),
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
  readonly adminKeyParameter: string | undefined
  readonly name: string
  readonly pollSeconds: number
  readonly agentMaxAgeMs: number
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
    adminKeyParameter: values.LVSFLEET_ADMIN_KEY_PARAMETER,
    name: values.LVSFLEET_NAME,
    pollSeconds: values.LVSFLEET_POLL_SECONDS,
    agentMaxAgeMs: values.LVSFLEET_AGENT_MAX_AGE_MS,
    logLevel: values.LVSFLEET_LOG,
    region: values.AWS_REGION,
  }
}
