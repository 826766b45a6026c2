/** Health as directors report it: merged over the fleet, in the API and in the CLI. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { HealthVerdict, HostState } from '@lvs-fleet/contract'
import { STALE_AFTER_SECONDS } from '../../services/api/src/status/conditions.ts'
import { makeAgentClient, makeReport, type AgentClient } from '../fakes/agent-client.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type TestApi } from './harness.ts'
import { runCli } from './run-cli.ts'

let api: TestApi
/** Seconds by which the API's clock has gone ahead. */
let late = 0
const agents = new Map<string, AgentClient>()

before(async () => {
  api = await startTestApi({ now: () => new Date(Date.now() + late * 1_000) })
  const fleet = twoSites()
  fleet.pools.web.check = { kind: 'http', path: '/health' }
  fleet.virtualServices.web.carriedBy = { sites: ['site-a', 'site-b'] }
  fleet.virtualServices.web.vipDelivery = 'external'
  const put = await api.call('PUT', '/v1/fleet', fleet)
  assert.equal(put.status, 200, JSON.stringify(put.body))
  for (const [site, name] of [
    ['site-a', 'dir-a'],
    ['site-b', 'dir-b'],
  ] as const) {
    const made = await api.call('POST', '/v1/join-tokens', { role: 'director', site, name })
    const agent = makeAgentClient(api.url)
    await agent.join(made.body.token, { role: 'director', name })
    await agent.login()
    agents.set(name, agent)
  }
})
after(() => api.close())

/** The director says this of rs-a1 and that the others are up. */
async function say(name: string, seq: number, state: HealthVerdict): Promise<void> {
  const published = await api.call('GET', `/v1/hosts/director/${name}/state`)
  const { checks } = published.body as unknown as HostState
  const all = checks.map(({ key, realServer, address, port }) => {
    const isDown = realServer === 'rs-a1' && state === 'down'
    return {
      key,
      kind: 'http',
      realServer,
      address,
      port,
      state: isDown ? ('down' as const) : ('up' as const),
      class: isDown ? ('unreachable' as const) : null,
      since: '2026-11-23T12:00:00.000Z',
      detail: isDown ? 'no answer within 2000 ms' : '200 OK',
      latencyMs: isDown ? null : 1.5,
    }
  })
  const down = all.filter((one) => one.state === 'down').length
  const counts = { up: all.length - down, down, held: 0, unknown: 0 }
  const answer = await agents
    .get(name)
    ?.report(makeReport(seq, { health: { counts, checks: all, events: [] } }))
  assert.equal(answer?.status, 204)
}

const verdicts = async (query = ''): Promise<string[]> =>
  (await api.call('GET', `/v1/health${query}`)).body.items.map(
    (item: { realServer: string; verdict: string }) => `${item.realServer} ${item.verdict}`,
  )

test('nothing is known before anybody reported', async () => {
  assert.deepEqual(await verdicts(), ['rs-a1 unknown', 'rs-a2 unknown', 'rs-b1 unknown'])
})

test('down for all is the server, down from one site the way from there', async () => {
  await say('dir-a', 1, 'up')
  await say('dir-b', 1, 'down')
  const { body } = await api.call('GET', '/v1/health?realServer=rs-a1')
  assert.equal(body.items[0].verdict, 'partial')
  assert.equal(
    body.items[0].message,
    'the way from site site-b is broken (dir-b through 10.1.0.100): it answers dir-a through 10.1.0.100',
  )
  assert.equal(body.items[0].views[1].detail, 'no answer within 2000 ms')
  await say('dir-a', 2, 'down')
  assert.deepEqual(await verdicts(), ['rs-a1 down', 'rs-a2 up', 'rs-b1 up'])
  assert.deepEqual(await verdicts('?verdict=up'), ['rs-a2 up', 'rs-b1 up'])
  assert.equal((await api.call('GET', '/v1/health?verdict=bad')).status, 400)
})

test('comes in pages', async () => {
  const first = await api.call('GET', '/v1/health?limit=2')
  const rest = await verdicts(`?limit=2&cursor=${first.body.nextCursor}`)
  assert.deepEqual(rest, ['rs-b1 up'])
})

test('the CLI shows what is down first, and exits with 1', async () => {
  const env = { LVSFLEET_API: api.url, LVSFLEET_KEY: api.adminKey }
  const shown = await runCli(['health'], '', env)
  assert.equal(shown.code, 1)
  const lines = shown.stdout.split('\n')
  assert.match(
    lines[1] ?? '',
    /^down +rs-a1 +10\.1\.0\.21 +80 +http \/health +down for 2 directors: no answer/,
  )
  const up = await runCli(['health', '--server', 'rs-b1'], '', env)
  assert.deepEqual([up.code, up.stdout.split('\n').length], [0, 3])
})

test('the report of a host shows its health whole', async () => {
  const { body } = await api.call('GET', '/v1/hosts/director/dir-a')
  assert.deepEqual(body.report.health.counts, { up: 2, down: 1, held: 0, unknown: 0 })
})

test('a report that is too old says nothing of now', async () => {
  late = STALE_AFTER_SECONDS + 1
  assert.deepEqual(await verdicts(), ['rs-a1 unknown', 'rs-a2 unknown', 'rs-b1 unknown'])
})
