import assert from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { zipFolder } from '../../scripts/zip.ts'
import { emptyDatabase, makeCall, startTestApi, type TestApi } from '../api/harness.ts'
import { twoSites } from '../api/fleets.ts'
import { makeAgentClient } from '../fakes/agent-client.ts'
import { startFakeParameterStore, type FakeParameterStore } from '../fakes/fake-parameter-store.ts'
import { startFront, type Front } from './front.ts'
import { startInstance } from './instance.ts'
import { ADMIN_KEY, lambdaEnv, lambdaFolder, SIGNING_KEY, storeWithKeyOf } from './world.ts'

/** 1 MB as AWS counts its own limits. */
const BUNDLE_MAX_BYTES = 1024 * 1024
/** Far above what it takes on an idle machine (docs/serverless.md); the tests of other parts run beside. */
const INIT_MAX_MS = 20_000

describe('the function’s files', () => {
  test('are less than 1 MB of code, and zip to the same bytes each time', async () => {
    const folder = await lambdaFolder()
    const code = readdirSync(folder).filter((name) => name.endsWith('.mjs'))
    const bytes = code.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
    assert.ok(code.includes('lambda.mjs') && code.includes('lambda-migrate.mjs'))
    assert.ok(bytes < BUNDLE_MAX_BYTES, `${bytes} bytes`)
    const zip = zipFolder(folder)
    assert.ok(zip.equals(zipFolder(folder)))
    assert.equal(zip.readUInt32LE(0), 0x04034b50)
  })
})

describe('two instances on one Postgres', () => {
  let node: TestApi
  let store: FakeParameterStore
  let front: Front
  let call: TestApi['call']
  before(async () => {
    node = await startTestApi()
    store = await storeWithKeyOf(node.dataDir)
    front = await startFront(2, await lambdaFolder(), lambdaEnv(node.databaseUrl, store))
    call = makeCall(front.url, node.adminKey)
    assert.equal((await call('PUT', '/v1/fleet', twoSites())).status, 200)
  })
  after(async () => {
    await front.close()
    await store.close()
    await node.close()
  })

  test('start in bounded time', async (t) => {
    for (const instance of front.instances) {
      const ms = await instance.initMs
      t.diagnostic(`init ${Math.round(ms)} ms`)
      assert.ok(ms < INIT_MAX_MS, `${ms} ms`)
    }
  })

  test('show an operator his own write, whichever took it', async () => {
    for (let n = 0; n < 20; n++) {
      front.use = n % 2
      const put = await call('PATCH', '/v1/pools/web?force=true', { labels: { round: String(n) } })
      assert.equal(put.status, 200, put.text)
      front.use = (n + 1) % 2
      assert.equal((await call('GET', '/v1/pools/web')).body.labels.round, String(n))
    }
    front.use = undefined
  })

  test('answer a poll that would wait at once, and say when to come back', async () => {
    const agent = await enrolled('dir-a', 'site-a')
    const etag = (await agent.state()).headers.get('etag') ?? ''
    const started = performance.now()
    const answer = await agent.state({ etag, waitSeconds: 30 })
    assert.equal(answer.status, 304)
    assert.equal(answer.headers.get('lvs-poll-seconds'), '10')
    assert.ok(performance.now() - started < 15_000)
  })

  test('send a large state compressed, and it says what it says on Node', async () => {
    const fleet = twoSites()
    for (let n = 1; n <= 250; n++) {
      const carriedBy = { sites: ['site-a'] }
      const web = { vips: [`10.1.1.${n}`], ports: [80], pool: 'web', carriedBy }
      fleet.virtualServices[`many-${n}`] = web
    }
    assert.equal((await call('PUT', '/v1/fleet?allowShrink=true', fleet)).status, 200)
    assert.equal((await call('POST', '/v1/hosts/director/dir-a/revoke')).status, 204)
    const agent = await enrolled('dir-a', 'site-a')
    const state = await agent.state()
    assert.equal(state.headers.get('content-encoding'), 'gzip')
    const plain = await call('GET', '/v1/hosts/director/dir-a/document', undefined, {
      'accept-encoding': 'identity',
    })
    assert.equal(await state.text(), plain.text)
    assert.equal((await call('PUT', '/v1/fleet?allowShrink=true', twoSites())).status, 200)
  })

  test('let an agent know of a change at the other one within a second, and refuse it when it was revoked there', async () => {
    const agent = await enrolled('dir-b', 'site-b')
    front.use = 0
    const etag = (await agent.state()).headers.get('etag') ?? ''
    assert.equal((await agent.state({ etag })).status, 304)
    front.use = 1
    const changed = await call('PATCH', '/v1/virtual-services/db?force=true', { scheduler: 'sh' })
    assert.equal(changed.status, 200, changed.text)
    await sleep(1_100)
    front.use = 0
    assert.equal((await agent.state({ etag })).status, 200)
    front.use = 1
    assert.equal((await call('POST', '/v1/hosts/director/dir-b/revoke')).status, 204)
    await sleep(1_100)
    front.use = 0
    assert.equal((await agent.state({ etag })).status, 401)
    front.use = undefined
  })

  test('serve the first request after a freeze in which the database dropped their connections', async () => {
    front.use = 0
    assert.equal((await call('GET', '/v1/controller')).status, 200)
    front.instances[0]?.freeze()
    await node.deps.database.pool.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and query not ilike 'listen%'",
    )
    front.instances[0]?.thaw()
    const answer = await call('GET', '/v1/controller')
    assert.equal(answer.status, 200, answer.text)
    front.use = undefined
  })

  test('tell the address that AWS saw, not the one that a caller wrote', async () => {
    front.use = 0
    const before = front.instances[0]?.output().length ?? 0
    const headers = { authorization: 'Bearer lvsk_guess', 'x-forwarded-for': '203.0.113.66' }
    assert.equal((await call('GET', '/v1/fleet', undefined, headers)).status, 401)
    const lines = () => (front.instances[0]?.output() ?? '').slice(before)
    for (let n = 0; n < 100 && !lines().includes('a caller was refused'); n++) await sleep(20)
    assert.match(
      lines(),
      /"address":"127\.0\.0\.1".*"status":401|"status":401.*"address":"127\.0\.0\.1"/,
    )
    assert.doesNotMatch(lines(), /203\.0\.113\.66/)
    front.use = undefined
  })

  test('keep house when the schedule says so, and refuse events that are neither', async () => {
    const [instance] = front.instances
    assert.ok(instance)
    await node.deps.database.pool.query(
      "insert into assertion_ids (id, expires_at) values ('over', now() - interval '1 hour')",
    )
    const done = await instance.invoke({ task: 'housekeeping' })
    assert.deepEqual(done, { ok: true, payload: { done: 'housekeeping' } })
    const left = await node.deps.database.pool.query(
      "select 1 from assertion_ids where id = 'over'",
    )
    assert.equal(left.rowCount, 0)
    const odd = await instance.invoke({ Records: [] })
    assert.ok(!odd.ok)
    assert.match(odd.error.errorMessage ?? '', /neither HTTP with payload version 2 nor/)
  })

  test('hold no stream of events, and say how to read them instead', async () => {
    const refused = await call('GET', '/v1/events/stream')
    assert.deepEqual([refused.status, refused.body.code], [501, 'not-offered'])
    assert.match(refused.body.detail, /GET \/v1\/events\?after=CURSOR/)
    const page = await call('GET', '/v1/events?limit=1')
    const next = await call('GET', `/v1/events?limit=1&after=${page.body.cursor}`)
    assert.equal(next.status, 200, next.text)
    assert.ok(next.body.items[0].id > page.body.items[0].id)
  })

  test('send no webhook to themselves, where the runtime answers', async () => {
    for (const url of ['http://127.0.0.1:9001/', 'https://localhost/']) {
      const refused = await call('POST', '/v1/webhooks', { name: 'self', url })
      assert.equal(refused.status, 422, refused.text)
      assert.match(refused.body.detail, /is this machine/)
    }
  })

  async function enrolled(name: string, site: string) {
    const made = await call('POST', '/v1/join-tokens', { role: 'director', site, name })
    const agent = makeAgentClient(front.url)
    await agent.join(made.body.token, { role: 'director', name })
    await agent.login()
    return agent
  }
})

describe('a new database', () => {
  let node: TestApi
  let store: FakeParameterStore
  let databaseUrl = ''
  before(async () => {
    // Only for its Postgres server.
    node = await startTestApi()
    store = await startFakeParameterStore()
    databaseUrl = await emptyDatabase()
  })
  after(async () => {
    await store.close()
    await node.close()
  })

  test('is not served before it is migrated, and is served by the same instance afterwards', async () => {
    const env = lambdaEnv(databaseUrl, store)
    const front = await startFront(1, await lambdaFolder(), env)
    try {
      const early = await makeCall(front.url, 'lvsk_none')('GET', '/v1/fleet')
      assert.equal(early.status, 503)
      assert.equal(early.body.code, 'database-unavailable')
      assert.match(early.body.detail, /lacks \d+ migration\(s\): invoke the migrate function/)
      assert.equal(early.headers.get('retry-after'), '10')

      const migrate = await startInstance(await lambdaFolder(), 'lambda-migrate.handler', env)
      const first = await migrate.invoke({})
      const again = await migrate.invoke({})
      await migrate.close()
      assert.ok(first.ok && again.ok, JSON.stringify([first, again]))
      const [made, repeated] = [first, again].map(({ payload }) => payload) as JsonObject[]
      assert.equal(made?.['adminKeyParameter'], ADMIN_KEY)
      assert.deepEqual(repeated, { ...made, adminKeyParameter: null })

      const secrets = [SIGNING_KEY, ADMIN_KEY].map((name) => store.parameters.get(name))
      assert.deepEqual(
        secrets.map((one) => one?.type),
        ['SecureString', 'SecureString'],
      )
      const key = secrets[1]?.value ?? ''
      assert.match(key, /^lvsk_/)
      const output = front.instances[0]?.output() + migrate.output() + JSON.stringify(first)
      assert.ok(!output.includes(key) && !output.includes('PRIVATE KEY'))

      const late = await makeCall(front.url, key)('GET', '/v1/fleet')
      assert.equal(late.status, 200, late.text)
    } finally {
      await front.close()
    }
  })

  test('whose signing key is gone is neither served nor given another one', async () => {
    const held = store.parameters.get(SIGNING_KEY)
    assert.ok(held)
    store.parameters.delete(SIGNING_KEY)
    const env = lambdaEnv(databaseUrl, store)
    const front = await startFront(1, await lambdaFolder(), env)
    const migrate = await startInstance(await lambdaFolder(), 'lambda-migrate.handler', env)
    try {
      assert.equal((await makeCall(front.url, 'lvsk_none')('GET', '/v1/fleet')).status, 500)
      assert.match(front.instances[0]?.output() ?? '', /signing-key is missing/)
      const refused = await migrate.invoke({})
      assert.ok(!refused.ok)
      assert.match(refused.error.errorMessage ?? '', /parameter .*signing-key is missing/)
      assert.ok(!store.parameters.has(SIGNING_KEY))
      // It works again as soon as the key is back, without a new instance.
      store.parameters.set(SIGNING_KEY, held)
      assert.equal((await makeCall(front.url, 'lvsk_none')('GET', '/v1/fleet')).status, 401)
    } finally {
      await front.close()
      await migrate.close()
    }
  })

  test('with no connection left is 503, not an error of the caller', async () => {
    const admin = new pg.Client({ connectionString: databaseUrl })
    await admin.connect()
    await admin.query("create role narrow login password 'narrow' connection limit 1")
    await admin.query('grant pg_read_all_data to narrow')
    const url = new URL(databaseUrl)
    url.username = 'narrow'
    url.password = 'narrow'
    const taken = new pg.Client({ connectionString: url.href })
    await taken.connect()
    const front = await startFront(1, await lambdaFolder(), lambdaEnv(url.href, store))
    try {
      const answer = await makeCall(front.url, 'lvsk_none')('GET', '/v1/fleet')
      assert.equal(answer.status, 503, answer.text)
      assert.equal(answer.headers.get('retry-after'), '1')
      await taken.end()
      assert.equal((await makeCall(front.url, 'lvsk_none')('GET', '/v1/fleet')).status, 401)
    } finally {
      await front.close()
      await admin.end()
    }
  })
})

type JsonObject = Readonly<Record<string, unknown>>

test('settings that are wrong end the start with their names', async () => {
  const store = await startFakeParameterStore()
  const env = { ...lambdaEnv('mysql://x', store), LVSFLEET_SIGNING_KEY_PARAMETER: 'no slash' }
  const instance = await startInstance(await lambdaFolder(), 'lambda.handler', env)
  await assert.rejects(instance.initMs, /settings are wrong|ended/)
  await instance.close()
  await store.close()
})
