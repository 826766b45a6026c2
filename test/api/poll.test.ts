import assert from 'node:assert/strict'
import { get, type IncomingHttpHeaders } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, describe, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import pg from 'pg'
import type { EnrolAnswer } from '@lvs-fleet/contract'
import {
  makeAgentClient,
  makeReport,
  readDocument,
  type AgentClient,
} from '../fakes/agent-client.ts'
import { COMPRESSED_FROM } from '../../services/api/src/http/document-stream.ts'
import { keepHouse } from '../../services/api/src/verbs/housekeeping.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type TestApi } from './harness.ts'

let clockMs = 0
let api: TestApi
let agent: AgentClient
let identity: EnrolAnswer

before(async () => {
  api = await startTestApi({ now: () => new Date(Date.now() + clockMs) })
  const fleet = twoSites()
  // Enough services for several shards.
  for (let n = 1; n <= 100; n++) {
    fleet.virtualServices[`many-${n}`] = {
      vips: [`10.1.1.${n}`],
      ports: [80],
      pool: 'web',
      carriedBy: { sites: ['site-a'] },
    }
  }
  const applied = await api.call('PUT', '/v1/fleet', fleet)
  assert.equal(applied.status, 200, applied.text)
  ;[agent, identity] = await enrolled('director', 'site-a', 'dir-a')
})
after(() => api.close())

async function enrolled(
  role: 'director' | 'real-server',
  site: string,
  name: string,
): Promise<[AgentClient, EnrolAnswer]> {
  const made = await api.call('POST', '/v1/join-tokens', { role, site, name })
  const client = makeAgentClient(api.url)
  const answer = await client.join(made.body.token, { role, name })
  await client.login()
  return [client, answer]
}

/** As the bytes came: fetch asks for compressed bodies by itself, and takes them apart. */
function bareGet(url: string, headers: Record<string, string>) {
  return new Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }>(
    (resolve, reject) => {
      get(url, { headers }, async (answer) => {
        const body = await buffer(answer)
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body })
      }).on('error', reject)
    },
  )
}

async function fetchState(have?: string) {
  const answer = await agent.state(have === undefined ? {} : { have })
  assert.equal(answer.status, 200)
  const [key] = identity.controllerKeys
  assert.ok(key)
  return {
    etag: answer.headers.get('etag')?.replace(/^W\//, '') ?? '',
    ...(await readDocument(await answer.text(), key)),
  }
}

const change = async (owner: string, service = 'web') => {
  const answer = await api.call('PATCH', `/v1/virtual-services/${service}?force=true`, {
    persistence: { timeoutSeconds: Number(owner) },
  })
  assert.equal(answer.status, 200, answer.text)
}

/** A call that is held open, and given up. */
async function leavesNobody(ask: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const giveUp = new AbortController()
  const held = ask(giveUp.signal).catch(() => undefined)
  const waiting = () => api.deps.live.waiters.sizeOf('director/dir-a')
  while (waiting() === 0) await sleep(5)
  giveUp.abort()
  await held
  for (let n = 0; n < 200 && waiting() > 0; n++) await sleep(10)
  assert.equal(waiting(), 0)
}

describe('GET state', () => {
  test('with nothing new is 304 and asks no database', async () => {
    const { etag } = await fetchState()
    const asked: number[] = []
    // What the API does by itself now and then may fall into one of them, never into all.
    while (asked.at(-1) !== 0 && asked.length < 5) {
      const queries = api.deps.database.queryCount()
      for (let n = 0; n < 50; n++) assert.equal((await agent.state({ etag })).status, 304)
      assert.equal((await agent.state({ etag: `W/${etag}` })).status, 304)
      assert.equal((await agent.state({ etag, waitSeconds: 0.2 })).status, 304)
      asked.push(api.deps.database.queryCount() - queries)
    }
    assert.equal(asked.at(-1), 0, String(asked))
  })

  test('with nothing new is the same answer by the quick way and by the ordinary one', async () => {
    const { etag } = await fetchState()
    const headersOf = async (options: Parameters<typeof agent.state>[0]) => {
      const answer = await agent.state({ etag, ...options })
      assert.equal(answer.status, 304)
      assert.match(answer.headers.get('x-request-id') ?? '', /^[\w-]{36}$/)
      const headers = Object.fromEntries(answer.headers)
      // The quick way costs too little to be counted against a rate.
      const { ratelimit: _, 'ratelimit-policy': __, ...others } = headers
      return { ...others, 'x-request-id': '', date: '' }
    }
    // `wait` alone makes the difference; a poll that would wait is answered when its time is over.
    assert.deepEqual(await headersOf({}), await headersOf({ waitSeconds: 0 }))
    assert.deepEqual(await headersOf({ have: '1.1' }), await headersOf({ waitSeconds: 0 }))
  })

  test('says when to come back', async () => {
    const { etag } = await fetchState()
    assert.equal((await agent.state({ etag })).headers.get('lvs-poll-seconds'), '10')
    assert.equal(
      (await agent.state({ etag, waitSeconds: 0.01 })).headers.get('lvs-poll-seconds'),
      '0',
    )
  })

  test('held open wakes within 100 ms of the write', async () => {
    const tries: number[] = []
    for (let n = 1; n <= 5; n++) {
      const { etag } = await fetchState()
      const held = agent
        .state({ etag, waitSeconds: 20 })
        .then((answer) => ({ answer, at: performance.now() }))
      while (api.deps.live.waiters.sizeOf('director/dir-a') === 0) await sleep(5)
      await change(String(300 + n))
      const written = performance.now()
      const { answer, at } = await held
      assert.equal(answer.status, 200)
      await answer.text()
      tries.push(at - written)
    }
    assert.ok(
      Math.max(...tries) < 100,
      `woke after ${tries.map((ms) => ms.toFixed(1)).join(', ')} ms`,
    )
  })

  test('held open is not woken by what concerns another host', async () => {
    const { etag } = await fetchState()
    const held = agent.state({ etag, waitSeconds: 1 })
    await change('77', 'db')
    assert.equal((await held).status, 304)
  })

  test('held open and given up leaves nobody waiting', async () => {
    const { etag } = await fetchState()
    await leavesNobody((signal) => agent.state({ etag, waitSeconds: 30, signal }))
  })

  test('with have sends only the shards that changed', async () => {
    const before = await fetchState()
    assert.equal(before.bodies.length, before.named.length)
    assert.ok(before.bodies.length > 3)
    await change('901')
    const { manifest, named, bodies } = await fetchState(
      `${before.manifest.epoch}.${before.manifest.generation}`,
    )
    assert.equal(manifest.generation, before.manifest.generation + 1)
    assert.equal(bodies.length, 1)
    assert.ok(named.length <= 32, 'one list')
    const same = await fetchState(`${manifest.epoch}.${manifest.generation}`)
    assert.equal(same.bodies.length, 0)
    const unknown = await fetchState('9.9999')
    assert.equal(unknown.bodies.length, unknown.named.length)
  })

  test('is compressed where it is large and the caller takes that, and says the same', async () => {
    const token = await agent.login()
    const ask = (path: string, headers: Record<string, string> = {}) =>
      bareGet(`${api.url}${path}`, { authorization: `Bearer ${token}`, ...headers })
    const gzip = { 'accept-encoding': 'gzip' }
    const plain = await ask('/v1/agent/state')
    const packed = await ask('/v1/agent/state', gzip)
    assert.ok(plain.body.length > COMPRESSED_FROM)
    assert.equal(plain.headers['content-encoding'], undefined)
    assert.equal(packed.headers['content-encoding'], 'gzip')
    assert.deepEqual([plain.headers.vary, packed.headers.vary], Array(2).fill('accept-encoding'))
    assert.equal(packed.headers.etag, `W/${plain.headers.etag}`)
    assert.ok(packed.body.length * 5 < plain.body.length, `${packed.body.length} bytes`)
    assert.deepEqual(gunzipSync(packed.body), plain.body)
    const refused = await ask('/v1/agent/state', { 'accept-encoding': 'gzip;q=0, br' })
    assert.deepEqual(refused.body, plain.body)
    const again = { ...gzip, 'if-none-match': String(packed.headers.etag) }
    assert.equal((await ask('/v1/agent/state', again)).status, 304)
    const { manifest } = await fetchState()
    const small = await ask(`/v1/agent/state?have=${manifest.epoch}.${manifest.generation}`, gzip)
    assert.equal(small.headers['content-encoding'], undefined)
  })

  test('is about the caller and nobody else', async () => {
    const [other, otherIdentity] = await enrolled('director', 'site-b', 'dir-b')
    const [key] = otherIdentity.controllerKeys
    assert.ok(key)
    const { manifest } = await readDocument(await (await other.state()).text(), key)
    assert.equal(manifest.host.name, 'dir-b')
    assert.equal(manifest.host.id, otherIdentity.hostId)
  })

  test('refuses tokens that are unknown, of operators, or too old', async () => {
    for (const token of ['', 'x', `lvsa_${'A'.repeat(43)}`, api.adminKey]) {
      assert.equal((await agent.state({ token })).status, 401)
    }
    const operatorRoute = await fetch(`${api.url}/v1/fleet`, {
      headers: { authorization: `Bearer ${await agent.login()}` },
    })
    assert.equal(operatorRoute.status, 401)
    clockMs = 901_000
    assert.equal((await agent.state()).status, 401)
    clockMs = 0
    await agent.login()
  })

  for (const query of ['wait=51', 'wait=-1', 'have=1', 'have=x.y', 'colour=red']) {
    test(`refuses ?${query}`, async () => {
      const answer = await fetch(`${api.url}/v1/agent/state?${query}`, {
        headers: { authorization: `Bearer ${await agent.login()}` },
      })
      assert.equal(answer.status, 400)
    })
  }
})

describe('without the database', () => {
  test('polls are answered from memory, all else is 503, and it heals by itself', async () => {
    const { etag } = await fetchState()
    const name = new URL(api.databaseUrl).pathname.slice(1)
    const admin = new URL(api.databaseUrl)
    admin.pathname = '/postgres'
    const client = new pg.Client({ connectionString: admin.href })
    await client.connect()
    await client.query(`alter database ${name} with allow_connections false`)
    await client.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1',
      [name],
    )
    try {
      assert.equal((await agent.state({ etag })).status, 304)
      const whole = await agent.state()
      assert.equal(whole.status, 200)
      assert.ok((await whole.text()).length > 1_000)
      for (const [method, path] of [
        ['GET', '/v1/fleet'],
        ['GET', '/readyz'],
        ['PUT', '/v1/pools/away'],
      ] as const) {
        const answer = await api.call(method, path, method === 'PUT' ? {} : undefined)
        assert.equal(answer.status, 503, answer.text)
        assert.equal(answer.body.code, 'database-unavailable')
        assert.ok(answer.headers.get('retry-after'))
      }
      assert.equal((await fetch(`${api.url}/healthz`)).status, 200)
    } finally {
      await client.query(`alter database ${name} with allow_connections true`)
      await client.end()
    }
    assert.equal((await api.call('PUT', '/v1/pools/back', {})).status, 201)
    assert.equal((await api.call('GET', '/readyz')).status, 200)
  })
})

describe('housekeeping', () => {
  test('keeps what agents may hold and forgets the rest', async () => {
    const count = async (sql: string) => Number((await api.deps.database.pool.query(sql)).rows[0].n)
    const first = await fetchState()
    for (let n = 0; n < 60; n++) await change(String(2_000 + n))
    const shardCount = () => count('select count(*) as n from shards')
    const before = await shardCount()
    await keepHouse(api.deps)
    assert.equal(await shardCount(), before, 'young shards stay')
    assert.equal(
      await count("select count(*) as n from host_state_history where name = 'dir-a'"),
      50,
    )
    clockMs = 3_600_000
    await keepHouse(api.deps)
    clockMs = 0
    assert.equal(
      await shardCount(),
      await count(
        'select count(distinct s.digest) as n from host_states, jsonb_to_recordset(shards) as s(digest text)',
      ),
    )
    assert.equal(await count('select count(*) as n from access_tokens'), 0)
    assert.equal(await count('select count(*) as n from assertion_ids'), 0)
    await agent.login()
    const last = await fetchState(`${first.manifest.epoch}.${first.manifest.generation}`)
    assert.equal(last.bodies.length, last.named.length, 'forgotten generations get the whole')
  })
})

describe('a new epoch', () => {
  test('outranks every generation and changes nothing else', async () => {
    const before = await fetchState()
    const answer = await api.call('POST', '/v1/controller/new-epoch')
    assert.equal(answer.status, 200, answer.text)
    assert.equal(answer.body.epoch, 2)
    const after = await fetchState()
    assert.equal(after.manifest.epoch, 2)
    assert.equal(after.manifest.digest, before.manifest.digest)
    assert.notEqual(after.etag, before.etag)
    await change('4001')
    assert.equal((await fetchState()).manifest.epoch, 2)
  })
})

describe('reports', () => {
  test('are kept when newer, ignored when older or doubled', async () => {
    const [reporter] = await enrolled('real-server', 'site-a', 'rs-a1')
    const send = async (seq: number, agentVersion: string) =>
      assert.equal((await reporter.report(makeReport(seq, { agentVersion }))).status, 204)
    const kept = async () => (await api.call('GET', '/v1/hosts/real-server/rs-a1')).body.report
    await send(2, 'two')
    await send(1, 'late')
    await send(2, 'doubled')
    assert.deepEqual([(await kept()).seq, (await kept()).agentVersion], [2, 'two'])
    await send(3, 'three')
    assert.equal((await kept()).agentVersion, 'three')
    const answer = await reporter.report({ ...makeReport(4), seq: 0 })
    assert.equal(answer.status, 422)
  })

  test('show in the list of hosts as conditions', async () => {
    const { manifest } = await fetchState()
    const { epoch, generation, digest } = manifest
    await agent.report(makeReport(1, { applied: { epoch, generation, digest } }))
    const list = await api.call('GET', '/v1/hosts?role=director&limit=1')
    assert.equal(list.status, 200, list.text)
    const [host] = list.body.items
    assert.equal(host.name, 'dir-a')
    assert.deepEqual(host.applied, { epoch, generation, digest })
    const converged = host.conditions.find(
      (condition: { type: string }) => condition.type === 'converged',
    )
    assert.equal(converged.status, true, converged.message)
    const next = await api.call(
      'GET',
      `/v1/hosts?role=director&limit=1&cursor=${list.body.nextCursor}`,
    )
    assert.equal(next.body.items[0].name, 'dir-b')
  })

  test('may ask for the next state as well: kept at once, answered like a poll', async () => {
    const token = await agent.login()
    let seq = 100
    const report = (query: string, init: RequestInit = {}) =>
      fetch(`${api.url}/v1/agent/report?${query}`, {
        ...init,
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(makeReport(++seq)),
      })
    const keptSeq = async () =>
      (await api.call('GET', '/v1/hosts/director/dir-a')).body.report?.seq ?? 0
    const { etag, manifest } = await fetchState()
    const have = `${manifest.epoch}.${manifest.generation}`
    const held = `held=${encodeURIComponent(etag)}`

    const idle = await report(`${held}&have=${have}&wait=0.2`)
    assert.equal(idle.status, 204)
    assert.equal(idle.headers.get('etag'), etag)
    assert.equal(idle.headers.get('lvs-poll-seconds'), '0')
    assert.equal(await keptSeq(), seq)

    const waiting = report(`${held}&have=${have}&wait=20`)
    while ((await keptSeq()) !== seq) await sleep(20)
    await change('5001')
    const answer = await waiting
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('content-type'), 'application/vnd.lvsfleet.state')
    const [key] = identity.controllerKeys
    assert.ok(key)
    const next = await readDocument(await answer.text(), key)
    assert.equal(next.manifest.generation, manifest.generation + 1)
    assert.ok(next.bodies.length < next.named.length, 'only what changed')

    // What is old already, or not asked for.
    const old = await report(`${held}&wait=20`)
    assert.equal(old.status, 200)
    assert.equal((await readDocument(await old.text(), key)).manifest.digest, next.manifest.digest)
    const plain = await report('wait=20')
    assert.equal(plain.status, 204)
    assert.equal(plain.headers.get('etag'), null)

    const current = encodeURIComponent(old.headers.get('etag') ?? '')
    await leavesNobody((signal) => report(`held=${current}&wait=30`, { signal }))

    const kept = await keptSeq()
    for (const query of ['held=x&wait=51', 'have=1', 'colour=red', `held=${'x'.repeat(201)}`]) {
      assert.equal((await report(query)).status, 400, query)
    }
    assert.equal(await keptSeq(), kept, 'what is refused is not kept')
  })
})
