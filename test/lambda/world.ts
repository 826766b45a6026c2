/** A database and a parameter store around functions: what their environment says, and one build for the process. */
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildLambda } from '../../scripts/build.ts'
import { newSigningKey } from '../../services/api/src/identity/signing-key.ts'
import {
  FAKE_CREDENTIALS,
  startFakeParameterStore,
  type FakeParameterStore,
} from '../fakes/fake-parameter-store.ts'

export const SIGNING_KEY = '/lvsfleet/test/signing-key'
export const ADMIN_KEY = '/lvsfleet/test/admin-key'
export const NEXT_SIGNING_KEY = '/lvsfleet/test/signing-key-2'

let built: Promise<string> | undefined

/** The folder that Lambda would unpack. */
export function lambdaFolder(): Promise<string> {
  built ??= buildLambda(join(mkdtempSync(join(tmpdir(), 'lvsfleet-lambda-')), 'task'))
  return built
}

export function lambdaEnv(
  databaseUrl: string,
  store: Pick<FakeParameterStore, 'url'>,
): Record<string, string> {
  return {
    DATABASE_URL: databaseUrl,
    LVSFLEET_SIGNING_KEY_PARAMETER: SIGNING_KEY,
    LVSFLEET_ADMIN_KEY_PARAMETER: ADMIN_KEY,
    LVSFLEET_NAME: 'test-fleet',
    LVSFLEET_LOG: 'warn',
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: FAKE_CREDENTIALS.id,
    AWS_SECRET_ACCESS_KEY: FAKE_CREDENTIALS.secret,
    AWS_ENDPOINT_URL_SSM: store.url,
  }
}

/** The key of an API on Node, so that a function serves the same database; and one to follow it, which no function makes. */
export async function storeWithKeyOf(dataDir: string): Promise<FakeParameterStore> {
  const store = await startFakeParameterStore()
  const value = readFileSync(join(dataDir, 'signing.key'), 'utf8')
  store.parameters.set(SIGNING_KEY, { value, type: 'SecureString' })
  store.parameters.set(NEXT_SIGNING_KEY, { value: newSigningKey().pem, type: 'SecureString' })
  return store
}
