/** Where the API is and which key opens it: options win over the environment, which wins over the local default. */
import { readFileSync } from 'node:fs'
import { CliError } from './cli-error.ts'

export type GlobalOptions = {
  readonly api?: string | undefined
  readonly key?: string | undefined
  readonly keyFile?: string | undefined
  readonly tokenFile?: string | undefined
  readonly output?: string | undefined
}

export type Config = { readonly api: string; readonly key: string }

const DEFAULT_API = 'http://127.0.0.1:8080'
/** Where `npm start` leaves the first key. */
const DEFAULT_KEY_FILE = '.lvsfleet/admin.key'

export function readConfig(options: GlobalOptions, env: NodeJS.ProcessEnv = process.env): Config {
  const api = options.api ?? env['LVSFLEET_API'] ?? DEFAULT_API
  if (!/^https?:\/\/[^/]+/.test(api)) {
    throw new CliError(`--api ${api} is not an http(s) URL, for example ${DEFAULT_API}`, 2)
  }
  return { api: api.replace(/\/+$/, ''), key: readKey(options, env) }
}

/** An API key, or a token of an OIDC issuer: the API tells them apart. What is named in an option wins. */
function readKey(options: GlobalOptions, env: NodeJS.ProcessEnv): string {
  if (options.key !== undefined) return options.key
  const named = options.keyFile ?? options.tokenFile
  if (named !== undefined) return readSecret(named)
  const given = env['LVSFLEET_KEY'] ?? env['LVSFLEET_TOKEN']
  if (given !== undefined) return given
  return readSecret(env['LVSFLEET_KEY_FILE'] ?? env['LVSFLEET_TOKEN_FILE'] ?? DEFAULT_KEY_FILE)
}

function readSecret(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    throw new CliError(
      `no API key: set LVSFLEET_KEY or name a file with --key-file or --token-file (looked for ${file})`,
      2,
    )
  }
}
