/** Events: written once with the report that tells of them, read by cursor, held polls and streams, over all processes. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HostState, StatusReport, WeightChange } from '@lvs-fleet/contract'
import { STALE_AFTER_SECONDS } from '../../services/api/src/status/conditions.ts'
import { makeEvent } from '../../services/api/src/status/event.ts'
import { appendEvents } from '../../services/api/src/store/event-store.ts'
import { keepEvents, keepHouse } from '../../services/api/src/verbs/housekeeping.ts'
import { makeAgentClient, makeReport, type AgentClient } from '../fakes/agent-client.ts'
import { joinDirector } from './directors.ts'
import { readStream } from './event-reader.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type JsonBody, type TestApi } from './harness.ts'

async function enrolled(api: TestApi, name = 'dir-a'): Promise<AgentClient> {
  return joinDirector(api, name === 'dir-a' ? 'site-a' : 'site-b', name)
}

async function say(agent: AgentClient, seq: number, said: Partial<StatusReport>): Promise<void> {
  assert.equal((await agent.report(makeReport(seq, said))).status, 204)
}

async function listed(api: TestApi, query = ''): Promise<JsonBody[]> {
  const { status, body } = await api.call('GET', `/v1/events?limit=1000${query}`)
  assert.equal(status, 200, JSON.stringify(body))
  return body.items
}

const down = (checks: HostState['checks']): Partial<StatusReport> => {
  const one = checks.find(({ realServer }) => realServer === 'rs-a1')
  assert.ok(one)
  const { key, realServer, address, port } = one
  const found = { key, kind: 'http', realServer, address, port } as const
  const at = new Date().toISOString()
  const detail = 'no answer within 2000 ms'
  return {
    health: {
      counts: { up: 0, down: 1, held: 0, unknown: 0 },
      checks: [
        { ...found, state: 'down', class: 'unreachable', since: at, detail, latencyMs: null },
      ],
      events: [{ ...found, at, from: 'up', to: 'down', class: 'unreachable', cause: detail }],
    },
  }
}

describe('events', () => {
  let api: TestApi
  let other: TestApi
  let agent: AgentClient
  let late = 0

  before(async () => {
    api = await startTestApi({ now: () => new Date(Date.now() + late * 1_000) })
    other = await startTestApi({ beside: api })
    const fleet = twoSites()
    fleet.pools.web.check = { kind: 'http', path: '/health' }
    assert.equal((await api.call('PUT', '/v1/fleet', fleet)).status, 200)
    agent = await enrolled(api)
  })
  after(async () => {
    await other.close()
    await api.close()
  })

  test('one stream tells who changed what, who came in, and what hosts say', async () => {
    await say(agent, 1, { applied: { epoch: 1, generation: 1, digest: 'x' } })
    const items = await listed(api)
    const kinds = new Set(items.map(({ kind }) => kind))
    for (const kind of ['intent.changed', 'access.changed', 'host.enrolled', 'state.applied']) {
      assert.ok(kinds.has(kind), kind)
    }
    assert.deepEqual(
      items.map(({ id }) => id),
      items.map((_, i) => i + 1),
      'ids have no gaps',
    )
    const web = items.find(({ subject }) => subject === 'virtual-service/web')
    assert.equal(web.message, 'api-key/first created virtual-service web, revision 1')
    assert.deepEqual(web.virtualServices, ['web'])
  })

  test('a change of health is told once, with cause, time, director and the virtual services it serves', async () => {
    const { checks } = (await api.call('GET', '/v1/hosts/director/dir-a/state'))
      .body as unknown as HostState
    const report = down(checks)
    await Promise.all([say(agent, 2, report), say(agent, 2, report), say(agent, 2, report)])
    await say(agent, 1, {})
    await say(agent, 3, report)
    const items = await listed(api, '&kind=health.changed')
    assert.equal(items.length, 1)
    const [event] = items
    assert.equal(event.director, 'dir-a')
    assert.equal(event.site, 'site-a')
    assert.equal(event.severity, 'error')
    assert.deepEqual(event.virtualServices, ['web'])
    assert.equal(event.at, report.health?.events[0]?.at)
    assert.match(
      event.message,
      /^rs-a1 is down \(unreachable\) for dir-a, http 10\.1\.0\.21:80: no answer/,
    )
    await say(agent, 4, {
      health: { counts: { up: 1, down: 0, held: 0, unknown: 0 }, checks: [], events: [] },
    })
    const again = await listed(api, '&kind=health.changed')
    assert.deepEqual(
      again.map(({ detail }) => detail.to),
      ['down', 'unknown'],
    )
  })

  test('a weight that went and came back between two reports is told, in order and once', async () => {
    const change = (number: number, from: number, to: number): WeightChange => ({
      number,
      at: new Date().toISOString(),
      service: 'tcp/10.1.0.100:80',
      destination: '10.1.0.21:80',
      realServer: 'rs-a1',
      from,
      to,
      factors: to === 0 ? [{ name: 'health', value: 0, since: null, why: 'refused' }] : [],
    })
    const since = new Date().toISOString()
    const list = [change(1, 100, 0), change(2, 0, 100)]
    const weightChanges = { since, count: 2, droppedCount: 0, list }
    await Promise.all([5, 5, 6].map((seq) => say(agent, seq, { weightChanges })))
    await say(agent, 7, { weightChanges: { since, count: 5, droppedCount: 3, list: [] } })
    const items = await listed(api, '&kind=weight.changed,events.more')
    assert.deepEqual(
      items.map(({ cause, detail }) => [cause, detail.from, detail.to, detail.untoldWeights]),
      [
        ['health 1 to 0: refused', 100, 0, undefined],
        ['health 0 to 1: as intent says', 0, 100, undefined],
        ['one report brought 3 changes', undefined, undefined, 3],
      ],
    )
  })

  test('filters hold for each way of reading; a wrong one is refused', async () => {
    const all = await listed(api)
    const cases: [string, (event: JsonBody) => boolean][] = [
      [
        'kind=intent.changed,host.enrolled',
        ({ kind }) => /^(intent.changed|host.enrolled)$/.test(kind),
      ],
      ['director=dir-a', ({ director }) => director === 'dir-a'],
      ['realServer=rs-a1', ({ realServer }) => realServer === 'rs-a1'],
      ['virtualService=web', ({ virtualServices }) => virtualServices.includes('web')],
      ['severity=warning', ({ severity }) => severity !== 'info'],
    ]
    for (const [query, holds] of cases) {
      const wanted = all.filter(holds)
      assert.ok(wanted.length > 0 && wanted.length < all.length, query)
      assert.deepEqual(await listed(api, `&${query}`), wanted, query)
      // From the database alone: the other process started when there was nothing in memory.
      assert.deepEqual(await listed(other, `&${query}&newest=true`), wanted, query)
    }
    for (const query of [
      'kind=nope',
      'severity=bad',
      'after=x',
      'since=now',
      'newest=true&after=1',
      'x=1',
      // No text of Postgres may hold it.
      'director=%00',
      'realServer=%00',
      'virtualService=%00',
    ]) {
      assert.equal((await api.call('GET', `/v1/events?${query}`)).status, 400, query)
    }
  })

  test('a cursor goes on where it was, page by page, also through what a filter leaves out', async () => {
    const seen: number[] = []
    let cursor = '0'
    for (;;) {
      const { body } = await api.call(
        'GET',
        `/v1/events?after=${cursor}&limit=3&kind=intent.changed`,
      )
      seen.push(...body.items.map(({ id }: { id: number }) => id))
      cursor = body.cursor
      if (body.items.length < 3) break
    }
    assert.deepEqual(
      seen,
      (await listed(api, '&kind=intent.changed')).map(({ id }) => id),
    )
    assert.equal(cursor, String((await listed(api)).at(-1).id))
  })

  test('a held poll at one process answers at once when another process commits', async () => {
    const { cursor } = (await api.call('GET', '/v1/events?after=latest')).body
    const held = api.call('GET', `/v1/events?after=${cursor}&wait=20&kind=intent.changed`)
    while (api.deps.events.followers === 0) await sleep(5)
    const began = performance.now()
    // Not for it: it goes on waiting.
    await other.call('POST', '/v1/join-tokens', { role: 'director', site: 'site-a' })
    await other.call('PATCH', '/v1/pools/web?force=true', { labels: { by: 'other' } })
    const { body } = await held
    assert.ok(performance.now() - began < 3_000)
    assert.deepEqual(
      body.items.map(({ subject }: JsonBody) => subject),
      ['pool/web'],
    )
    assert.equal(api.deps.events.followers, 0)
  })

  test('a stream sends what comes, resumes after Last-Event-ID without a gap, and tells of silence', async () => {
    const stream = readStream(api, '?kind=intent.changed')
    await stream.opened
    await other.call('PATCH', '/v1/pools/web?force=true', { labels: { n: '1' } })
    const first = await stream.next()
    assert.equal(first.event, 'intent.changed')
    assert.equal(JSON.parse(first.data).subject, 'pool/web')
    assert.equal(JSON.parse(first.data).id, Number(first.id))
    await stream.close()
    while (api.deps.events.followers > 0) await sleep(5)
    for (const n of ['2', '3'])
      await api.call('PATCH', '/v1/pools/web?force=true', { labels: { n } })
    const again = readStream(api, '?kind=intent.changed', first.id)
    const ids = [(await again.next()).id, (await again.next()).id].map(Number)
    await again.close()
    assert.deepEqual(
      ids,
      (await listed(api, `&after=${first.id}&kind=intent.changed`)).map(({ id }) => id),
    )
  })

  test('who commits first has the lower id: no reader misses one that commits late', async () => {
    const { db } = api.deps.database
    const event = (subject: string) =>
      makeEvent({ kind: 'access.changed', at: new Date(), subject, message: subject })
    const before = (await api.call('GET', '/v1/events?after=latest')).body.cursor
    const release = Promise.withResolvers<void>()
    const wrote = Promise.withResolvers<void>()
    const slow = db.transaction(async (tx) => {
      await appendEvents(tx, [event('slow')], new Date())
      wrote.resolve()
      await release.promise
    })
    await wrote.promise
    const quick = other.deps.database.db.transaction((tx) =>
      appendEvents(tx, [event('quick')], new Date()),
    )
    assert.equal(await Promise.race([quick.then(() => 'done'), sleep(200, 'waits')]), 'waits')
    assert.deepEqual(await listed(api, `&after=${before}`), [])
    release.resolve()
    await Promise.all([slow, quick])
    const rolledBack = db.transaction(async (tx) => {
      await appendEvents(tx, [event('never')], new Date())
      throw new Error('changed my mind')
    })
    await assert.rejects(rolledBack)
    await db.transaction((tx) => appendEvents(tx, [event('last')], new Date()))
    while (api.deps.events.lastId < Number(before) + 3) await sleep(5)
    const items = await listed(api, `&after=${before}`)
    assert.deepEqual(
      items.map(({ subject }) => subject),
      ['slow', 'quick', 'last'],
    )
    assert.deepEqual(
      items.map(({ id }) => id - Number(before)),
      [1, 2, 3],
    )
  })

  test('reports at two processes at once make each event once', async () => {
    const b = await enrolled(api, 'dir-b')
    const elsewhere = makeAgentClient(other.url)
    assert.ok(elsewhere)
    const held = { held: 'maintenance' }
    await say(b, 1, {})
    const token = await b.login()
    const post = (url: string) =>
      fetch(`${url}/v1/agent/report`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(makeReport(2, held)),
      })
    const answers = await Promise.all([api, other, api, other].map(({ url }) => post(url)))
    assert.deepEqual(
      answers.map(({ status }) => status),
      [204, 204, 204, 204],
    )
    assert.equal((await listed(api, '&kind=host.held')).length, 1)
  })

  test('one that starts anew tells nothing again', async () => {
    const count = (await listed(api)).length
    const third = await startTestApi({ beside: api })
    await sleep(100)
    assert.equal((await listed(third)).length, count)
    await third.close()
  })

  test('silence is told once, and its end', async () => {
    late = STALE_AFTER_SECONDS + 5
    await keepHouse(api.deps)
    await keepHouse(api.deps)
    assert.deepEqual(
      new Set((await listed(api, '&kind=host.stale')).map(({ director }) => director)),
      new Set(['dir-a', 'dir-b']),
    )
    late = 0
    await agent.login()
    await say(agent, 50, {})
    assert.deepEqual(
      (await listed(api, '&kind=host.returned')).map(({ director }) => director),
      ['dir-a'],
    )
  })

  test('a cursor that retention overtook, or that never was, is refused in plain words', async () => {
    const all = await listed(api)
    await keepEvents(api.deps, new Date(), 5)
    const { body } = await api.call('GET', '/v1/events')
    // What is left is read as usual, by who names no cursor.
    assert.deepEqual(body.items, all.slice(-5))
    const fresh = await startTestApi({ beside: api })
    for (const path of ['/v1/events', '/v1/events/stream']) {
      const gone = await fresh.call('GET', `${path}?after=1`)
      assert.deepEqual([gone.status, gone.body.code], [410, 'cursor-gone'], path)
      assert.match(gone.body.detail, new RegExp(`no longer kept.*after=${all.length - 5}`))
      const never = await fresh.call('GET', `${path}?after=999999`)
      assert.deepEqual([never.status, never.body.code], [410, 'cursor-gone'], path)
    }
    assert.equal(
      (await fresh.call('GET', `/v1/events?after=${all.length - 5}`)).body.items.length,
      5,
    )
    await fresh.close()
  })

  test('streams are bounded in number, end with the process, and HEAD takes none', async () => {
    const bounded = await startTestApi({ beside: api })
    const { signal, abort } = controllerOf()
    const head = () =>
      fetch(`${bounded.url}/v1/events/stream`, { method: 'HEAD', headers: auth(bounded) })
    for (let i = 0; i < 210; i++) assert.equal((await head()).status, 200)
    const open = await Promise.all(
      Array.from({ length: 200 }, () =>
        fetch(`${bounded.url}/v1/events/stream`, { headers: auth(bounded), signal }),
      ),
    )
    assert.ok(open.every(({ status }) => status === 200))
    const refused = await bounded.call('GET', '/v1/events/stream')
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [429, '5'])
    const [first] = open
    const ended = first?.text()
    bounded.deps.live.waiters.close()
    assert.match((await ended) ?? '', /^retry: 2000\n/)
    abort()
    await bounded.close()
  })

  test('a reader that does not read is cut, and what it did not take is not kept for it', async () => {
    const impatient = await startTestApi({
      beside: api,
      streamTimes: { heartbeatMs: 50, slowMs: 300, lifeMs: 60_000 },
    })
    const { port } = new URL(impatient.url)
    const socket = connect(Number(port), '127.0.0.1')
    socket.on('error', () => {})
    socket.pause()
    socket.write(
      `GET /v1/events/stream?after=latest HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${api.adminKey}\r\n\r\n`,
    )
    while (impatient.deps.events.followers === 0) await sleep(5)
    const big = Array.from({ length: 400 }, (_, n) =>
      makeEvent({
        kind: 'access.changed',
        at: new Date(),
        subject: `n${n}`,
        message: 'x'.repeat(500),
        detail: { fill: 'y'.repeat(40_000) },
      }),
    )
    await api.deps.database.db.transaction((tx) => appendEvents(tx, big, new Date()))
    const began = performance.now()
    while (impatient.deps.events.followers > 0) {
      assert.ok(performance.now() - began < 10_000, 'it was not cut')
      await sleep(20)
    }
    const closed = new Promise((resolve) => socket.on('close', resolve))
    socket.resume()
    await closed
    await impatient.close()
  })
})

const auth = (api: TestApi) => ({ authorization: `Bearer ${api.adminKey}` })

function controllerOf(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort() }
}
