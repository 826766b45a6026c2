/** Health as directors report it: merged over the fleet, in the API and in the CLI. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { STALE_AFTER_SECONDS } from '../../services/api/src/status/conditions.ts'
import { type AgentClient } from '../fakes/agent-client.ts'
import { joinDirector, reportHealth } from './directors.ts'
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
    agents.set(name, await joinDirector(api, site, name))
  }
})
after(() => api.close())

/** The director says this of rs-a1 and that the others are up. */
async function say(name: string, seq: number, state: 'up' | 'down'): Promise<void> {
  const agent = agents.get(name)
  assert.ok(agent !== undefined)
  const silent = { state, class: 'unreachable', detail: 'no answer within 2000 ms' } as const
  await reportHealth(api, { agent, name, seq }, (realServer) =>
    realServer === 'rs-a1' && state === 'down' ? silent : undefined,
  )
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
