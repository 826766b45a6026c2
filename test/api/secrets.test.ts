/** Secrets outside the database: one contract for files and Parameter Store, tokens that are kept for instances, our own settings. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { parseEnv } from '../../services/api/src/env.ts'
import { newSigningKey } from '../../services/api/src/identity/signing-key.ts'
import { resolveSecrets } from '../../services/api/src/secrets/resolve-env.ts'
import { openSecretStore } from '../../services/api/src/secrets/secret-store.ts'
import type { SecretStore } from '../../services/api/src/secrets/secret.ts'
import { keepHouse } from '../../services/api/src/verbs/housekeeping.ts'
import { makeAgentClient } from '../fakes/agent-client.ts'
import { startFakeAws, type FakeAws } from '../fakes/fake-aws.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type TestApi } from './harness.ts'

let clockMs = 0
let aws: FakeAws
let folder = ''
before(async () => {
  aws = await startFakeAws()
  folder = await mkdtemp(join(tmpdir(), 'lvsfleet-secrets-'))
  aws.callers.set('AKIAEXAMPLE123456789', {
    secretAccessKey: 'of-the-controller',
    account: '123456789012',
    arn: 'arn:aws:sts::123456789012:assumed-role/controller/x',
  })
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE123456789',
    AWS_SECRET_ACCESS_KEY: 'of-the-controller',
    AWS_REGION: 'eu-central-1',
    AWS_ENDPOINT_URL_SSM: aws.url.href,
    AWS_EC2_METADATA_DISABLED: 'true',
  })
})
after(async () => {
  await aws.close()
  await rm(folder, { recursive: true, force: true })
})

for (const [kind, where] of [
  ['files', () => `file:${folder}/store`],
  ['Parameter Store', () => 'ssm:/lvsfleet/test'],
] as const) {
  describe(`secrets in ${kind}`, () => {
    let store: SecretStore
    before(async () => {
      store = await openSecretStore(where())
    })

    test('are read as they were put, replaced, and gone when deleted', async () => {
      assert.equal(await store.get('site-a/director'), undefined)
      await store.put('site-a/director', 'one')
      await store.put('site-a/real-server', 'other')
      await store.put('site-a/director', 'two\nlines\n')
      assert.equal(await store.get('site-a/director'), 'two\nlines\n')
      assert.equal(await store.get('site-a/real-server'), 'other')
      await store.delete('site-a/director')
      await store.delete('site-a/director')
      assert.equal(await store.get('site-a/director'), undefined)
    })

    test('have names within their place, and a size that both kinds take', async () => {
      for (const name of ['', '../x', 'a/../b', '/a', 'a//b', '.hidden', 'a b', 'a\0b']) {
        await assert.rejects(async () => store.put(name, 'x'), name)
        await assert.rejects(async () => store.get(name), name)
      }
      await assert.rejects(store.put('empty', ''))
      await assert.rejects(store.put('large', 'x'.repeat(4_097)))
      await store.put('largest', 'x'.repeat(4_096))
      assert.equal((await store.get('largest'))?.length, 4_096)
    })

    test('are two stores for two that are opened', async () => {
      await store.put('shared', 'same')
      const again = await openSecretStore(where())
      assert.equal(await again.get('shared'), 'same')
      assert.equal(await (await openSecretStore(`${where()}-other`)).get('shared'), undefined)
    })

    test('hold a join token for each site and role, which is replaced at half of its life', async () => {
      clockMs = 0
      const now = () => new Date(Date.now() + clockMs)
      const api: TestApi = await startTestApi({ now, joinTokens: `${where()}/tokens` })
      try {
        assert.equal((await api.call('PUT', '/v1/fleet', twoSites())).status, 200)
        const tokens = await openSecretStore(`${where()}/tokens`)
        const current = async () => (await tokens.get('site-a/real-server')) ?? ''
        await keepHouse(api.deps)
        const first = await current()
        assert.match(first, /^lvsj_/)
        assert.notEqual(await tokens.get('site-b/director'), undefined)
        await Promise.all([keepHouse(api.deps), keepHouse(api.deps)])
        assert.equal(await current(), first)
        clockMs = 12 * 3_600_000 + 60_000
        await Promise.all([keepHouse(api.deps), keepHouse(api.deps)])
        const second = await current()
        assert.notEqual(second, first)
        const listed = (await api.call('GET', '/v1/join-tokens?limit=100')).body.items
        assert.equal(listed.length, 8, 'four places, each twice')
        let n = 0
        const enter = async (token: string) => {
          const host = { name: `rs-new-${++n}`, addresses: [`10.1.4.${n}`] }
          const agent = makeAgentClient(api.url)
          return (await agent.enrol(token, { role: 'real-server', ...host })).status
        }
        assert.deepEqual([await enter(first), await enter(second)], [200, 200])
        clockMs = 24 * 3_600_000 + 60_000
        assert.deepEqual([await enter(first), await enter(second)], [401, 200])
        // What somebody overwrote, deleted or revoked is put right.
        await tokens.put('site-a/real-server', 'nonsense')
        await keepHouse(api.deps)
        assert.equal(await enter(await current()), 200)
        const id = (await current()).split('_')[1]
        await api.call('DELETE', `/v1/join-tokens/${id}`)
        await keepHouse(api.deps)
        assert.equal(await enter(await current()), 200)
      } finally {
        await api.close()
      }
    })
  })
}

test('Parameter Store holds them encrypted, and files are for their owner alone', async () => {
  await (await openSecretStore('ssm:/lvsfleet/kinds')).put('x', 'secret')
  assert.equal(aws.parameters.get('/lvsfleet/kinds/x')?.type, 'SecureString')
  await (await openSecretStore(`file:${folder}/kinds`)).put('x', 'secret')
  assert.equal((await stat(join(folder, 'kinds', 'x'))).mode & 0o777, 0o600)
  await assert.rejects(openSecretStore('http://example'), /no place for secrets/)
})

test('the API reads its own secrets from there', async () => {
  const { signer, pem } = newSigningKey()
  const store = await openSecretStore('ssm:/lvsfleet/prod')
  await store.put('database-url', 'postgres://u:p@db/lvs')
  await store.put('signing-key', pem)
  const settings = parseEnv(
    await resolveSecrets({
      DATABASE_URL: 'ssm:/lvsfleet/prod/database-url',
      LVSFLEET_SIGNING_KEY: 'ssm:/lvsfleet/prod/signing-key',
      LVSFLEET_NAME: 'ssm:/stays',
    }),
  )
  assert.equal(settings.databaseUrl, 'postgres://u:p@db/lvs')
  assert.equal(settings.signingKeys[0]?.thumbprint, signer.thumbprint)
  assert.equal(settings.name, 'ssm:/stays')
  const absent = { DATABASE_URL: 'ssm:/lvsfleet/prod/none' }
  await assert.rejects(resolveSecrets(absent), /DATABASE_URL: there is nothing at/)
  const wrong = { LVSFLEET_SIGNING_KEY: 'not a key' }
  assert.throws(
    () => parseEnv(wrong),
    (error: Error) => !error.message.includes('not a key'),
  )
})
