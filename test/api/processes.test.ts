import assert from 'node:assert/strict'
import { chmod, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeAgentClient } from '../fakes/agent-client.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type TestApi } from './harness.ts'
import { runApiProcess, startApiProcess, type ApiProcess } from './process.ts'

async function until(
  holds: () => Promise<boolean> | boolean,
  what: string,
  timeoutMs = 5_000,
): Promise<number> {
  const start = performance.now()
  while (!(await holds())) {
    assert.ok(performance.now() - start < timeoutMs, `${what}: not within ${timeoutMs} ms`)
    await sleep(5)
  }
  return performance.now() - start
}

describe('two API processes on one Postgres', () => {
  let a: TestApi
  let b: TestApi
  before(async () => {
    a = await startTestApi()
    b = await startTestApi({ beside: a })
    assert.equal((await a.call('PUT', '/v1/fleet', twoSites())).status, 200)
  })
  after(async () => {
    await b.close()
    await a.close()
  })

  test('see each other’s writes at once', async () => {
    await until(
      async () => (await b.call('GET', '/v1/controller')).body.revision === 1,
      'first revision',
    )
    await b.call('PATCH', '/v1/pools/web?force=true', { labels: { by: 'b' } })
    const ms = await until(
      async () => (await a.call('GET', '/v1/pools/web')).body.labels.by === 'b',
      'change of b',
    )
    assert.ok(ms < 1_000, `${ms} ms`)
  })

  test('a poll held at one wakes on a write at the other; a token of one is good at the other', async () => {
    const made = await a.call('POST', '/v1/join-tokens', { role: 'director', site: 'site-a' })
    const agent = makeAgentClient(b.url)
    await agent.join(made.body.token, { role: 'director', name: 'dir-a' })
    const token = await agent.login()
    const atA = await fetch(`${a.url}/v1/agent/state`, {
      headers: { authorization: `Bearer ${token}` },
    })
    assert.equal(atA.status, 200)
    await atA.text()
    const etag = atA.headers.get('etag') ?? ''
    const held = agent.state({ etag, waitSeconds: 20 })
    await until(() => b.deps.live.waiters.sizeOf('director/dir-a') === 1, 'poll is held')
    const written = performance.now()
    await a.call('PATCH', '/v1/virtual-services/web?force=true', { scheduler: 'wrr' })
    assert.equal((await held).status, 200)
    assert.ok(performance.now() - written < 1_000)
    assert.equal((await a.call('POST', '/v1/hosts/director/dir-a/revoke')).status, 204)
    await until(
      async () => (await agent.state()).status === 401,
      'revocation reaches the other process',
    )
  })

  test('lose no write when both write at once', async () => {
    const before = (await a.call('GET', '/v1/controller')).body.revision
    const names = Array.from({ length: 20 }, (_, n) => `both-${n}`)
    const answers = await Promise.all(
      names.map((name, n) =>
        (n % 2 === 0 ? a : b).call('PUT', `/v1/pools/${name}`, { labels: {} }),
      ),
    )
    assert.ok(
      answers.every((answer) => answer.status === 201),
      answers.map((answer) => answer.text).join(),
    )
    for (const api of [a, b]) {
      await until(
        async () => (await api.call('GET', '/v1/pools?name=both-')).body.items.length === 20,
        'all pools',
      )
      assert.equal((await api.call('GET', '/v1/controller')).body.revision, before + 20)
    }
  })

  test('hear of writes again after their connection for it was cut', async () => {
    await a.deps.database.pool.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%' and datname = current_database()",
    )
    await b.call('PUT', '/v1/pools/after-cut', { labels: {} })
    await until(
      async () => (await a.call('GET', '/v1/pools/after-cut')).status === 200,
      'write after the cut',
    )
  })
})

describe('one data folder', () => {
  let dataDir = ''
  let api: ApiProcess
  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'lvsfleet-data-'))
    await chmod(dataDir, 0o711)
    api = await startApiProcess(dataDir)
  })
  after(async () => {
    await api.end('SIGTERM')
    await rm(dataDir, { recursive: true, force: true })
  })

  test('says where it listens and shows the first key once, also in a private file', async () => {
    assert.match(api.stdout(), /listens on http:\/\/127\.0\.0\.1:\d+/)
    assert.match(api.stdout(), /database: embedded Postgres in /)
    assert.match(api.stdout(), /first API key \(admin\), shown only now: lvsk_/)
    for (const file of ['admin.key', 'signing.key', 'postgres.password']) {
      assert.equal((await stat(join(dataDir, file))).mode & 0o777, 0o600, file)
    }
    assert.equal((await api.call('GET', '/v1/fleet')).status, 200)
  })

  test('is refused to a second process, which names the first', async () => {
    const second = await runApiProcess(dataDir)
    assert.equal(second.code, 1)
    assert.match(second.stderr, /is in use by another lvsfleet API \(process \d+\); stop it first/)
    assert.equal((await api.call('GET', '/v1/fleet')).status, 200)
  })

  test('stops in order on SIGTERM: held polls are answered, the database is shut down', async () => {
    await api.call('PUT', '/v1/fleet', twoSites())
    const made = await api.call('POST', '/v1/join-tokens', { role: 'director', site: 'site-a' })
    const agent = makeAgentClient(api.url)
    await agent.join(made.body.token, { role: 'director', name: 'dir-a' })
    await agent.login()
    const etag = (await agent.state()).headers.get('etag') ?? ''
    const held = agent.state({ etag, waitSeconds: 30 })
    await sleep(200)
    const started = performance.now()
    const ended = api.end('SIGTERM')
    assert.equal((await held).status, 304)
    assert.equal(await ended, 0)
    assert.ok(performance.now() - started < 10_000)
    await assert.rejects(stat(join(dataDir, 'postgres', 'postmaster.pid')))
    api = await startApiProcess(dataDir)
    assert.doesNotMatch(api.stdout(), /lvsk_/)
    assert.equal((await api.call('GET', '/v1/hosts/director/dir-a')).status, 200)
  })

  test('whose signing key is missing or another one is refused, with the thumbprint it needs', async () => {
    await api.end('SIGTERM')
    const key = join(dataDir, 'signing.key')
    await rename(key, `${key}.away`)
    const missing = await runApiProcess(dataDir)
    assert.equal(missing.code, 1)
    assert.match(
      missing.stderr,
      /signed by controller key [\w-]{43}, and .*signing\.key is missing/,
    )
    await assert.rejects(stat(key), 'no new key is made')
    const other = await mkdtemp(join(tmpdir(), 'lvsfleet-other-'))
    await chmod(other, 0o711)
    await (await startApiProcess(other)).end('SIGTERM')
    const foreign = await runApiProcess(dataDir, {
      LVSFLEET_SIGNING_KEY_FILE: join(other, 'signing.key'),
    })
    assert.equal(foreign.code, 1)
    assert.match(foreign.stderr, /but the database is signed by/)
    await rename(`${key}.away`, key)
    await rm(other, { recursive: true, force: true })
    api = await startApiProcess(dataDir)
  })
})

test('an argument is refused, as it takes none', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'lvsfleet-words-'))
  const answer = await runApiProcess(dataDir, {}, ['--port', '99'])
  assert.equal(answer.code, 2)
  assert.match(answer.stderr, /^lvsfleet API takes no argument such as "--port": see --help\n$/)
  const help = await runApiProcess(dataDir, {}, ['--help'])
  assert.equal(help.code, 0)
  assert.match(help.stdout, /LVSFLEET_LISTEN/)
  await rm(dataDir, { recursive: true, force: true })
})

test('wrong settings are named', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'lvsfleet-env-'))
  const answer = await runApiProcess(dataDir, {
    LVSFLEET_LISTEN: 'nowhere',
    DATABASE_URL: 'mysql://x',
  })
  assert.equal(answer.code, 1)
  assert.match(
    answer.stderr,
    /LVSFLEET_LISTEN must be HOST:PORT.*DATABASE_URL must start with postgres/,
  )
  const gone = await runApiProcess(dataDir, { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' })
  assert.equal(gone.code, 1)
  assert.match(gone.stderr, /cannot start: .*ECONNREFUSED/s)
  await rm(dataDir, { recursive: true, force: true })
})
