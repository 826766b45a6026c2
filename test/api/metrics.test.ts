/** What the API tells Prometheus, on an address of its own. */
import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openDatabase } from '../../services/api/src/store/database.ts'
import { parseEnv } from '../../services/api/src/env.ts'
import { serveMetrics } from '../../services/api/src/metrics-server.ts'
import {
  createMetricsReader,
  type MetricsReader,
} from '../../services/api/src/verbs/read-metrics.ts'
import { makeAgentClient, makeReport, type AgentClient } from '../fakes/agent-client.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type TestApi } from './harness.ts'
import { startApiProcess } from './process.ts'

/** Samples by name and labels, as Prometheus reads them; throws where a line is none. */
function samplesOf(text: string): Map<string, number> {
  const samples = new Map<string, number>()
  const types = new Map<string, string>()
  for (const line of text.trimEnd().split('\n')) {
    const [, typed, type] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? []
    if (typed !== undefined && type !== undefined) {
      assert.ok(!types.has(typed), `${typed} twice`)
      types.set(typed, type)
      assert.equal(type === 'counter', typed.endsWith('_total'), `${typed} is a ${type}`)
    } else if (!line.startsWith('# HELP ')) {
      const match = /^([a-z0-9_]+)(\{(?:[a-z_]+="[^"\n]*",?)*\})? (\S+)$/.exec(line)
      assert.ok(match, line)
      const [, name = '', labels = '', value] = match
      const family = name.replace(/_(bucket|sum|count)$/, '')
      assert.ok(types.has(name) || types.get(family) === 'histogram', `${name} has no type`)
      assert.ok(!samples.has(name + labels), `${name}${labels} twice`)
      assert.ok(Number.isFinite(Number(value)), line)
      samples.set(name + labels, Number(value))
    }
  }
  return samples
}

describe('metrics of the API', () => {
  let api: TestApi
  let reader: MetricsReader
  let agent: AgentClient
  let late = 0
  const scrape = async () => samplesOf(await reader.read())

  before(async () => {
    api = await startTestApi({ now: () => new Date(Date.now() + late * 1_000) })
    reader = createMetricsReader(api.deps)
    const fleet = twoSites()
    fleet.pools.web.check = { kind: 'http', path: '/health' }
    assert.equal((await api.call('PUT', '/v1/fleet', fleet)).status, 200)
    const made = await api.call('POST', '/v1/join-tokens', {
      role: 'director',
      site: 'site-a',
      name: 'dir-a',
    })
    agent = makeAgentClient(api.url)
    await agent.join(made.body.token, { role: 'director', name: 'dir-a' })
    await agent.login()
  })
  after(async () => {
    reader.close()
    await api.close()
  })

  test('requests are counted by route and class of status, never by path', async () => {
    for (const name of ['web', 'db', 'none']) await api.call('GET', `/v1/pools/${name}`)
    await api.call('GET', '/v1/no/such/thing')
    await fetch(`${api.url}/v1/events?wait=1&after=latest`, {
      headers: { authorization: `Bearer ${api.adminKey}` },
      method: 'GET',
    })
    const samples = await scrape()
    const of = (route: string, status: string) =>
      samples.get(`lvsfleet_api_requests_total{method="GET",route="${route}",status="${status}"}`)
    assert.equal(of('/v1/pools/:name', '2xx'), 2)
    assert.equal(of('/v1/pools/:name', '4xx'), 1)
    assert.equal(of('none', '4xx'), 1)
    assert.equal(of('/v1/events', '2xx'), 1)
    const latency = 'lvsfleet_api_request_duration_seconds'
    const route = 'method="GET",route="/v1/pools/:name"'
    assert.equal(samples.get(`${latency}_bucket{${route},le="+Inf"}`), 3)
    assert.equal(samples.get(`${latency}_count{${route}}`), 3)
    // Held open on purpose.
    assert.ok(
      ![...samples.keys()].some((name) => name.includes('duration') && name.includes('/v1/events')),
    )
    const buckets = [...samples].filter(([name]) => name.startsWith(`${latency}_bucket{${route}`))
    assert.deepEqual(
      buckets.map(([, value]) => value),
      buckets.map(([, value]) => value).toSorted((a, b) => a - b),
    )
  })

  test('idle polls are counted too', async () => {
    const first = await agent.state()
    const etag = first.headers.get('etag') ?? ''
    await first.text()
    const before = (await scrape()).get(
      'lvsfleet_api_requests_total{method="GET",route="/v1/agent/state",status="3xx"}',
    )
    await agent.state({ etag })
    await agent.state({ etag })
    const after = (await scrape()).get(
      'lvsfleet_api_requests_total{method="GET",route="/v1/agent/state",status="3xx"}',
    )
    assert.equal((after ?? 0) - (before ?? 0), 2)
  })

  test('the fleet: who is behind and since when, who refuses, what was repaired, who is up', async () => {
    const lag = 'lvsfleet_api_convergence_lag_seconds{director="dir-a",site="site-a"}'
    const state = await api.call('GET', '/v1/hosts/director/dir-a')
    const { epoch, generation, digest } = state.body.published
    await agent.report(makeReport(1, { applied: { epoch, generation, digest }, driftCount: 3 }))
    assert.equal((await scrape()).get(lag), 0)
    await api.call('PATCH', '/v1/virtual-services/web?force=true', { scheduler: 'wrr' })
    late = 30
    await api.call('PATCH', '/v1/virtual-services/web?force=true', { scheduler: 'wlc' })
    late = 90
    const rejected = {
      code: 'shrink-held',
      detail: 'x',
      epoch,
      generation: generation + 2,
    } as const
    const counts = { up: 2, down: 1, held: 0, unknown: 0 }
    await agent.report(
      makeReport(2, {
        applied: { epoch, generation, digest },
        rejected,
        driftCount: 3,
        failedOpCount: 2,
        health: { counts, checks: [], events: [] },
      }),
    )
    const samples = await scrape()
    // From the first of the two that it has not, not from the last.
    const seconds = samples.get(lag) ?? 0
    assert.ok(seconds >= 88 && seconds < 100, `${seconds} s`)
    const wanted = {
      lvsfleet_api_revision: 3,
      'lvsfleet_api_hosts{role="director",enrolled="true"}': 1,
      'lvsfleet_api_hosts{role="director",enrolled="false"}': 1,
      'lvsfleet_api_host_conditions{role="director",condition="rejected"}': 1,
      'lvsfleet_api_host_conditions{role="director",condition="converged"}': 0,
      'lvsfleet_api_rejecting_hosts{code="shrink-held"}': 1,
      'lvsfleet_api_drift_repairs_total{director="dir-a",site="site-a"}': 3,
      'lvsfleet_api_director_failed_ops{director="dir-a",site="site-a"}': 2,
      'lvsfleet_api_director_checks{director="dir-a",site="site-a",state="down"}': 1,
      lvsfleet_api_database_up: 1,
    }
    assert.deepEqual(
      Object.fromEntries(Object.keys(wanted).map((name) => [name, samples.get(name)])),
      wanted,
    )
    assert.equal(samples.get('lvsfleet_api_events_total'), api.deps.events.lastId)
    assert.ok((samples.get('process_resident_memory_bytes') ?? 0) > 1e6)
    assert.ok(!samples.has('lvsfleet_api_convergence_lag_seconds{director="dir-b",site="site-b"}'))
  })

  test('without its database it says so, and tells what it has in memory', async () => {
    const database = openDatabase({ host: '127.0.0.1', port: 1, user: 'x', database: 'x' }, 2)
    const log = { ...api.deps.log, warn: () => {} }
    const own = createMetricsReader({ ...api.deps, database, log })
    const samples = samplesOf(await own.read())
    assert.equal(samples.get('lvsfleet_api_database_up'), 0)
    assert.ok([...samples.keys()].some((name) => name.startsWith('lvsfleet_api_requests_total')))
    own.close()
    await database.close()
  })
})

test('the server knows /metrics and nothing else', async () => {
  let text = 'x 1\n'
  const server = await serveMetrics({ host: '127.0.0.1', port: 0 }, () =>
    text === '' ? Promise.reject(new Error('no')) : Promise.resolve(text),
  )
  const ask = async (path: string, method = 'GET') => {
    const answer = await fetch(new URL(path, server.url), { method })
    return [answer.status, await answer.text()]
  }
  assert.deepEqual(await ask('/metrics'), [200, 'x 1\n'])
  assert.deepEqual(await ask('/metrics?x=1', 'HEAD'), [200, ''])
  assert.deepEqual(await ask('/v1/fleet'), [404, 'only /metrics\n'])
  assert.deepEqual(await ask('/metrics', 'POST'), [405, 'only GET\n'])
  text = ''
  assert.deepEqual(await ask('/metrics'), [503, 'not now\n'])
  await server.close()
})

test('where metrics are answered is loopback unless said otherwise, or off', () => {
  assert.deepEqual(parseEnv({}).metrics, { host: '127.0.0.1', port: 9_615 })
  assert.deepEqual(parseEnv({ LVSFLEET_METRICS: '[::1]:9100' }).metrics, {
    host: '::1',
    port: 9_100,
  })
  assert.equal(parseEnv({ LVSFLEET_METRICS: 'off' }).metrics, undefined)
  for (const text of ['9615', '', 'on', '127.0.0.1']) {
    assert.throws(() => parseEnv({ LVSFLEET_METRICS: text }), /LVSFLEET_METRICS/, text)
  }
})

test('a process serves them beside the API, and goes without where the port is taken', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'lvsfleet-metrics-'))
  await chmod(dataDir, 0o711)
  const first = await startApiProcess(dataDir, { LVSFLEET_METRICS: '127.0.0.1:0' })
  const url = /metrics: (http:\/\/127\.0\.0\.1:(\d+)\/metrics)/.exec(first.stdout())
  assert.ok(url)
  const samples = samplesOf(await (await fetch(url[1] ?? '')).text())
  assert.equal(samples.get('lvsfleet_api_database_up'), 1)
  assert.equal((await fetch(`${first.url}/metrics`)).status, 404)
  const elsewhere = await mkdtemp(join(tmpdir(), 'lvsfleet-metrics-'))
  await chmod(elsewhere, 0o711)
  const second = await startApiProcess(elsewhere, { LVSFLEET_METRICS: `127.0.0.1:${url[2]}` })
  assert.match(second.stderr(), /no metrics: their port cannot be listened on/)
  assert.equal((await second.call('GET', '/v1/controller')).status, 200)
  assert.equal(await second.end('SIGTERM'), 0)
  assert.equal(await first.end('SIGTERM'), 0)
  await rm(dataDir, { recursive: true, force: true })
  await rm(elsewhere, { recursive: true, force: true })
})
