/** Overrides over HTTP and by the CLI: whose they are, how long, whom they reach, and what explain says of weights. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { WeighedDestination } from '@lvs-fleet/contract'
import { makeAgentClient, makeReport } from '../fakes/agent-client.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type JsonBody, type TestApi } from './harness.ts'
import { runCli } from './run-cli.ts'

const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString()
const override = (fields: object = {}) => ({
  realServer: 'rs-a1',
  kind: 'down',
  reason: 'disk is failing',
  expiresAt: inHours(2),
  ...fields,
})

describe('overrides', () => {
  let api: TestApi
  before(async () => {
    api = await startTestApi()
    const fleet = twoSites()
    fleet.pools.web.policy = {}
    assert.equal((await api.call('PUT', '/v1/fleet', fleet)).status, 200)
  })
  after(async () => api.close())

  const cli = async (...words: string[]) =>
    runCli(words, '', { LVSFLEET_API: api.url, LVSFLEET_KEY: api.adminKey })
  const stateOf = async (director: string): Promise<JsonBody> =>
    (await api.call('GET', `/v1/hosts/director/${director}/state`)).body

  it('belong to whoever makes them, and reach the directors that carry their real server', async () => {
    const made = await api.call('PUT', '/v1/overrides/disk', override())
    assert.equal(made.status, 201, made.text)
    assert.equal(made.body.owner, 'api-key/first')
    const [service] = (await stateOf('dir-a')).services
    const [first, second] = service.destinations
    assert.equal(first.overrides[0].owner, made.body.owner)
    assert.equal(first.overrides[0].expiresAt, Date.parse(made.body.expiresAt))
    assert.equal(second.overrides, undefined)
    assert.equal((await stateOf('dir-b')).services[0].destinations[0].overrides, undefined)
    const [host] = (await api.call('GET', '/v1/revisions/2')).body.changes
    assert.deepEqual([host.kind, host.name], ['override', 'disk'])
  })

  it('stand in the way of removing their real server, but not of a fleet without it', async () => {
    const fleet = twoSites()
    const kept = await api.call('PUT', '/v1/fleet', fleet)
    assert.equal(kept.status, 200, kept.text)
    assert.equal((await api.call('GET', '/v1/overrides')).body.items.length, 1)
    delete fleet.realServers['rs-a1']
    fleet.pools.web.members.shift()
    const gone = await api.call('PUT', '/v1/fleet', fleet)
    assert.equal(gone.status, 200, gone.text)
    assert.equal((await api.call('GET', '/v1/overrides')).body.items.length, 0)
    fleet.realServers['rs-a1'] = twoSites().realServers['rs-a1']
    fleet.pools.web = { ...twoSites().pools.web, policy: {} }
    assert.equal((await api.call('PUT', '/v1/fleet', fleet)).status, 200)
    const free = { site: 'site-a', addresses: ['10.1.0.29'] }
    await api.call('PUT', '/v1/real-servers/rs-a9', free)
    await api.call('PUT', '/v1/overrides/nine', override({ realServer: 'rs-a9' }))
    const refused = await api.call('DELETE', '/v1/real-servers/rs-a9')
    assert.deepEqual([refused.status, refused.body.code], [409, 'referenced'])
    assert.match(refused.body.detail, /override\/nine/)
  })

  const REFUSALS: { what: string; body: object; pointer: string }[] = [
    { what: 'over', body: { expiresAt: '2020-01-01T00:00:00Z' }, pointer: '/expiresAt' },
    { what: 'too long', body: { expiresAt: inHours(24 * 31) }, pointer: '/expiresAt' },
    { what: 'without an end', body: { expiresAt: undefined }, pointer: '/expiresAt' },
    { what: 'until no time', body: { expiresAt: 'tomorrow' }, pointer: '/expiresAt' },
    { what: 'without a reason', body: { reason: '' }, pointer: '/reason' },
    { what: 'of a weight that is missing', body: { kind: 'weight' }, pointer: '/weight' },
    { what: 'of nobody', body: { realServer: 'x' }, pointer: '/realServer' },
  ]
  for (const { what, body, pointer } of REFUSALS) {
    it(`refuses one that is ${what}`, async () => {
      const answer = await api.call('PUT', '/v1/overrides/wrong', override(body))
      assert.equal(answer.status, 422, answer.text)
      assert.equal(answer.body.errors[0].pointer, pointer)
    })
  }

  it('the CLI makes one, lists it and ends it', async () => {
    const words = ['override', 'canary', 'weight', '--weight', '5', '--real-server', 'rs-a2']
    const made = await cli(...words, '--pool', 'web', '--for', '2h', '--reason', 'new kernel')
    assert.equal(made.code, 0, made.stderr)
    assert.match(made.stdout, /^done in revision \d+, until /)
    const listed = await cli('get', 'overrides')
    assert.match(listed.stdout, /canary +rs-a2 +web +weight +5 /)
    assert.equal((await cli('delete', 'overrides', 'canary')).code, 0)
    assert.doesNotMatch((await cli('get', 'overrides')).stdout, /canary/)
    const wrong = await cli(...words, '--for', 'ever', '--reason', 'x')
    assert.deepEqual([wrong.code, wrong.stderr.includes('--for ever')], [2, true])
  })

  it('explain says what a director reported of weights, and before that what it does while all are up', async () => {
    const packet = '/v1/explain?director=dir-a&vip=10.1.0.100&port=80'
    const before = await api.call('GET', packet)
    assert.deepEqual(
      before.body.destinations.map((one: JsonBody) => [one.realServer, one.level, one.reported]),
      [
        ['rs-a1', 0, null],
        ['rs-a2', 0, null],
        ['rs-b1', 1, null],
      ],
    )
    const token = await api.call('POST', '/v1/join-tokens', {
      role: 'director',
      site: 'site-a',
      ttlSeconds: 60,
      maxUses: 1,
    })
    const agent = makeAgentClient(api.url)
    await agent.join(token.body.token, { role: 'director', name: 'dir-a' })
    await agent.login()
    const since = '2026-11-24T12:00:00.000Z'
    const weights: WeighedDestination[] = [
      {
        service: 'tcp/10.1.0.100:80',
        destination: '10.1.0.21:80',
        realServer: 'rs-a1',
        weight: 0,
        factors: [
          { name: 'intent', value: 100, since: null, why: 'weight in the pool' },
          { name: 'health', value: 0, since, why: 'server-down: connection refused' },
        ],
      },
    ]
    const reported = await agent.report(makeReport(1, { weights, weightCount: 1 }))
    assert.equal(reported.status, 204)
    const after = await api.call('GET', packet)
    assert.deepEqual(after.body.destinations[0].reported, weights[0])
    const host = await api.call('GET', '/v1/hosts/director/dir-a')
    assert.deepEqual(host.body.report.weights, weights)
    const { stdout } = await cli('explain', '--director', 'dir-a', '--vip', '10.1.0.100')
    assert.match(stdout, /in the kernel: .*weight 0.* from intent 100 x health 0/)
    assert.ok(stdout.includes(`health 0 since ${since}: server-down: connection refused`))
  })
})
