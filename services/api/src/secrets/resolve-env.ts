/**
 * Settings that are secrets may be named instead of told: `DATABASE_URL=ssm:/lvsfleet/prod/database-url` is read from
 * Parameter Store, `file:/run/secrets/url` from a file. Takes the environment; gives it with the values in place.
 */
import { dirname, basename } from 'node:path'
import { openSecretStore } from './secret-store.ts'

const SECRET_SETTINGS = [
  'DATABASE_URL',
  'LVSFLEET_SIGNING_KEY',
  'LVSFLEET_NEXT_SIGNING_KEY',
] as const

type Environment = Readonly<Record<string, string | undefined>>

/** Throws an Error that names the setting, never its value. */
export async function resolveSecrets(env: Environment): Promise<Environment> {
  const found: Record<string, string> = {}
  for (const setting of SECRET_SETTINGS) {
    const [, kind, path = ''] = /^(ssm|file):(\/.*)$/.exec(env[setting] ?? '') ?? []
    if (kind === undefined) continue
    const value = await read(`${kind}:${dirname(path)}`, basename(path)).catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new Error(`${setting} cannot be read from ${kind}:${path}: ${why}`, { cause })
    })
    if (value === undefined) throw new Error(`${setting}: there is nothing at ${kind}:${path}`)
    found[setting] = value.trim()
  }
  return { ...env, ...found }
}

async function read(where: string, name: string): Promise<string | undefined> {
  return (await openSecretStore(where)).get(name)
}
