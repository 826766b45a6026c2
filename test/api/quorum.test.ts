/** The quorum rule of a pool: what directors report becomes a verdict for all of them, and ends as it came. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { DOWN_VOTE_SECONDS, type Streaks } from '../../services/api/src/status/quorum.ts'
import { quorumRound } from '../../services/api/src/verbs/quorum-round.ts'
import type { AgentClient } from '../fakes/agent-client.ts'
import { joinDirector, reportHealth } from './directors.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type JsonBody, type TestApi } from './harness.ts'

const DIRECTORS = ['dir-a', 'dir-b', 'dir-c'] as const
const VERDICT = '/v1/overrides/quorum-rs-a1-in-web'

let api: TestApi
/** Seconds by which the API's clock has gone ahead. */
let late = 0
let seq = 0
let streaks: Streaks = new Map()
const agents = new Map<string, AgentClient>()

before(async () => {
  api = await startTestApi({ now: () => new Date(Date.now() + late * 1_000) })
  const fleet = twoSites()
  fleet.directors['dir-c'] = { site: 'site-b', addresses: ['10.2.0.12'] }
  fleet.pools.web.check = { kind: 'tcp' }
  fleet.pools.web.quorum = {}
  fleet.virtualServices.web.carriedBy = { sites: ['site-a', 'site-b'] }
  fleet.virtualServices.web.vipDelivery = 'external'
  fleet.virtualServices.db.vipDelivery = 'external'
  const put = await api.call('PUT', '/v1/fleet', fleet)
  assert.equal(put.status, 200, put.text)
  for (const name of DIRECTORS) {
    const site = name === 'dir-a' ? 'site-a' : 'site-b'
    agents.set(name, await joinDirector(api, site, name))
  }
})
after(() => api.close())

/** Each of the named finds rs-a1 down, the others do not. */
async function say(...down: readonly string[]): Promise<void> {
  seq++
  for (const [name, agent] of agents) {
    await reportHealth(api, { agent, name, seq }, (realServer) =>
      realServer === 'rs-a1' && down.includes(name) ? { state: 'down' } : undefined,
    )
  }
}

async function rounds(count: number): Promise<void> {
  for (let i = 0; i < count; i++) streaks = await quorumRound(api.deps, streaks)
}

async function quorumAt(director: string): Promise<JsonBody> {
  const { body } = await api.call('GET', `/v1/hosts/director/${director}/state`)
  const web = body.services.find((one: JsonBody) => one.name === 'web')
  return web.destinations.find((one: JsonBody) => one.realServer === 'rs-a1').quorum
}

const revision = async (): Promise<number> =>
  (await api.call('GET', '/v1/controller')).body.revision

test('one director that finds a real server down convinces nobody', async () => {
  const before = await revision()
  await say('dir-b')
  await rounds(5)
  assert.equal(await revision(), before)
  assert.equal((await api.call('GET', VERDICT)).status, 404)
})

test('two of three do, and the third hears of it', async () => {
  await say('dir-b', 'dir-c')
  await rounds(1)
  assert.equal(await quorumAt('dir-a'), undefined)
  await rounds(1)
  const { body } = await api.call('GET', VERDICT)
  assert.deepEqual(
    [body.kind, body.owner, body.reason],
    ['quorum', 'quorum', 'down for 2 of 3 directors: dir-b, dir-c'],
  )
  for (const name of DIRECTORS) {
    const quorum = await quorumAt(name)
    assert.deepEqual(quorum, { why: body.reason, expiresAt: Date.parse(body.expiresAt) })
  }
  const { items } = (await api.call('GET', '/v1/revisions')).body
  assert.deepEqual([items[0].actor, items[0].action], ['quorum', 'quorum.verdict'])
})

test('what goes on costs one change in six minutes', async () => {
  const before = await revision()
  await rounds(5)
  assert.equal(await revision(), before)
  late += 361
  await say('dir-b', 'dir-c')
  await rounds(5)
  assert.equal(await revision(), before + 1)
})

test('silence neither renews nor ends it', async () => {
  const before = await revision()
  late += DOWN_VOTE_SECONDS + 1
  await rounds(5)
  assert.equal(await revision(), before)
})

test('it ends when they find it up again, counted three times', async () => {
  await say()
  await rounds(2)
  assert.equal((await api.call('GET', VERDICT)).status, 200)
  await rounds(1)
  assert.equal((await api.call('GET', VERDICT)).status, 404)
  assert.equal(await quorumAt('dir-a'), undefined)
})

test('operators cannot make one, nor a rule without a check', async () => {
  const expiresAt = new Date(Date.now() + late * 1_000 + 60_000).toISOString()
  const body = { realServer: 'rs-a1', pool: 'web', kind: 'quorum', reason: 'x', expiresAt }
  const refused = await api.call('PUT', '/v1/overrides/mine', body)
  assert.deepEqual([refused.status, refused.body.errors[0].pointer], [422, '/kind'])
  const rule = await api.call('PATCH', '/v1/pools/db?force=true', { quorum: {} })
  assert.deepEqual([rule.status, rule.body.errors[0].pointer], [422, '/quorum'])
})

test('two processes that count the same publish it once', async () => {
  await say('dir-b', 'dir-c')
  const other = await startTestApi({ beside: api, now: api.deps.now })
  try {
    const before = await revision()
    await rounds(1)
    const theirs = await quorumRound(other.deps, new Map())
    await Promise.all([rounds(1), quorumRound(other.deps, theirs)])
    assert.equal(await revision(), before + 1)
  } finally {
    await other.close()
  }
})
