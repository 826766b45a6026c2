import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { lambdaConnection } from './connection.ts'
import { parseLambdaEnv } from './lambda-env.ts'

const ENV = {
  DATABASE_URL: 'postgres://fleet@db.internal:5433/lvsfleet',
  LVSFLEET_SIGNING_KEY_PARAMETER: '/lvsfleet/prod/signing-key',
  AWS_REGION: 'eu-central-1',
}
const held = new Map([['/lvsfleet/prod/database', 'first']])
const parameters = {
  read: (name: string) => Promise.resolve(held.get(name)),
  create: () => Promise.reject(new Error('nothing is written here')),
}
const connect = (more: Record<string, string>) =>
  lambdaConnection(parseLambdaEnv({ ...ENV, ...more }), parameters)

/** As pg asks for it, at each new connection. */
async function passwordOf({ password }: ReturnType<typeof connect>): Promise<unknown> {
  return typeof password === 'function' ? password() : password
}

describe('the connection of a function', () => {
  test('checks the server’s certificate unless told otherwise', () => {
    const { host, port, user, database, ssl } = connect({})
    assert.deepEqual(
      { host, port, user, database, ssl },
      {
        host: 'db.internal',
        port: 5433,
        user: 'fleet',
        database: 'lvsfleet',
        ssl: { rejectUnauthorized: true },
      },
    )
    assert.equal(connect({ DATABASE_URL: 'postgres://a@b/c?sslmode=disable' }).ssl, false)
  })

  test('takes a password from the URL, with its escapes', async () => {
    const DATABASE_URL = 'postgres://fleet:p%40ss@db/lvsfleet'
    assert.equal(await passwordOf(connect({ DATABASE_URL })), 'p@ss')
  })

  test('reads a parameter at each connection, so that a password may rotate', async () => {
    const connection = connect({ LVSFLEET_DATABASE_PASSWORD_PARAMETER: '/lvsfleet/prod/database' })
    assert.equal(await passwordOf(connection), 'first')
    held.set('/lvsfleet/prod/database', 'second')
    assert.equal(await passwordOf(connection), 'second')
    const missing = connect({ LVSFLEET_DATABASE_PASSWORD_PARAMETER: '/none' })
    await assert.rejects(passwordOf(missing), /parameter \/none .* is missing/)
  })

  test('signs a token for RDS that names host, port, user and region, and lasts 15 minutes', async () => {
    process.env['AWS_ACCESS_KEY_ID'] = 'AKIDEXAMPLE'
    process.env['AWS_SECRET_ACCESS_KEY'] = 'secret'
    const token = String(await passwordOf(connect({ LVSFLEET_DATABASE_AUTH: 'rds-iam' })))
    assert.match(token, /^db\.internal:5433\/\?Action=connect&DBUser=fleet&/)
    const query = new URL(`https://${token}`).searchParams
    assert.equal(query.get('X-Amz-Expires'), '900')
    assert.match(
      query.get('X-Amz-Credential') ?? '',
      /^AKIDEXAMPLE\/\d{8}\/eu-central-1\/rds-db\/aws4_request$/,
    )
  })

  test('is refused with settings that contradict or lack something, each by its name', () => {
    const both = {
      LVSFLEET_DATABASE_AUTH: 'rds-iam',
      LVSFLEET_DATABASE_PASSWORD_PARAMETER: '/a',
    }
    assert.throws(() => connect(both), /LVSFLEET_DATABASE_PASSWORD_PARAMETER has no meaning with/)
    assert.throws(() => parseLambdaEnv({ AWS_REGION: 'x' }), /DATABASE_URL.*SIGNING_KEY_PARAMETER/)
  })
})
