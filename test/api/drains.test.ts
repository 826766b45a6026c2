/** Drains over HTTP and by the CLI: what is refused, whom they reach, what is left, and that a restart forgets none. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { STALE_AFTER_SECONDS } from '../../services/api/src/status/conditions.ts'
import { makeReport, type AgentClient } from '../fakes/agent-client.ts'
import { joinDirector } from './directors.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type JsonBody, type TestApi } from './harness.ts'
import { runCli } from './run-cli.ts'

describe('drains', () => {
  let api: TestApi
  let agent: AgentClient
  /** Seconds by which the API's clock has gone ahead. */
  let late = 0
  const now = () => new Date(Date.now() + late * 1_000)
  const inMinutes = (minutes: number) => new Date(now().getTime() + minutes * 60_000).toISOString()
  const drain = (fields: object = {}) => ({
    realServer: 'rs-a1',
    reason: 'new disk',
    deadline: inMinutes(15),
    ...fields,
  })
  before(async () => {
    api = await startTestApi({ now })
    assert.equal((await api.call('PUT', '/v1/fleet', twoSites())).status, 200)
    agent = await joinDirector(api, 'site-a', 'dir-a')
  })
  after(async () => api.close())

  const cli = async (...words: string[]) =>
    runCli(words, '', { LVSFLEET_API: api.url, LVSFLEET_KEY: api.adminKey })
  const destinations = async (director: string): Promise<JsonBody[]> =>
    (await api.call('GET', `/v1/hosts/director/${director}/state`)).body.services[0].destinations
  const published = async () => {
    const { epoch, generation, digest } = (await api.call('GET', '/v1/hosts/director/dir-a')).body
      .published
    return { epoch, generation, digest }
  }
  let seq = 0
  /** The director says that so much is left of the drain named `disk`. */
  const say = async (drained: number, activeConnections: number, isCurrent = true) => {
    const service = 'tcp/10.1.0.100:80'
    const left = { service, destination: '10.1.0.21:80', remainingSeconds: 800 }
    const answer = await agent.report(
      makeReport(++seq, {
        applied: isCurrent ? await published() : null,
        drains: drained === 1 ? [] : [{ ...left, connections: activeConnections, drain: 'disk' }],
        drainProgress: [
          {
            name: 'disk',
            destinations: 1,
            drained,
            idle: 0,
            activeConnections,
            inactiveConnections: 0,
            persistentConnections: 0,
            remainingSeconds: 800,
          },
        ],
      }),
    )
    assert.equal(answer.status, 204)
  }
  const status = async () => (await api.call('GET', '/v1/drain-status/disk')).body

  it('belong to whoever makes them, and reach the directors that carry what they concern', async () => {
    const made = await api.call('PUT', '/v1/drains/disk', drain())
    assert.equal(made.status, 201, made.text)
    assert.equal(made.body.owner, 'api-key/first')
    const [first, second] = await destinations('dir-a')
    assert.deepEqual([first.weight, first.drain.name], [0, 'disk'])
    assert.equal(first.drain.deadline, Date.parse(made.body.deadline))
    assert.deepEqual([second.weight, second.drain], [100, undefined])
    assert.equal((await destinations('dir-b'))[0].drain, undefined)
    const [change] = (await api.call('GET', '/v1/revisions/2')).body.changes
    assert.deepEqual([change.kind, change.name], ['drain', 'disk'])
  })

  it('show what is left and until when, and never take silence for drained', async () => {
    assert.deepEqual([(await status()).state, (await status()).destinations], ['stalled', 1])
    await say(0, 312)
    const draining = await status()
    assert.deepEqual(
      [draining.state, draining.target, draining.owner, draining.drained],
      ['draining', 'real server rs-a1', 'api-key/first', 0],
    )
    assert.deepEqual(draining.directors, [
      {
        director: 'dir-a',
        state: 'draining',
        destinations: 1,
        drained: 0,
        activeConnections: 312,
        inactiveConnections: 0,
        persistentConnections: 0,
        remainingSeconds: 800,
        left: [
          {
            service: 'tcp/10.1.0.100:80',
            destination: '10.1.0.21:80',
            connections: 312,
            remainingSeconds: 800,
          },
        ],
      },
    ])
    late += STALE_AFTER_SECONDS + 1
    assert.equal((await status()).state, 'stalled')
    await say(1, 0, false)
    assert.equal((await status()).state, 'draining')
    await say(1, 0)
    assert.equal((await status()).state, 'drained')
  })

  it('are there after a restart of the API', async () => {
    const { deadline } = (await api.call('GET', '/v1/drains/disk')).body
    const restarted = await startTestApi({ beside: api, now })
    try {
      assert.equal((await restarted.call('GET', '/v1/drains/disk')).body.deadline, deadline)
      assert.equal((await restarted.call('GET', '/v1/drain-status/disk')).body.state, 'drained')
    } finally {
      await restarted.close()
    }
  })

  it('stand when a fleet document comes again, and end when they are deleted', async () => {
    assert.equal((await api.call('PUT', '/v1/fleet', twoSites())).status, 200)
    assert.equal((await destinations('dir-a'))[0].weight, 0)
    const refused = await api.call('DELETE', '/v1/real-servers/rs-a1')
    assert.match(refused.body.detail, /drain\/disk/)
    assert.equal((await api.call('DELETE', '/v1/drains/disk')).status, 200)
    const [first] = await destinations('dir-a')
    assert.deepEqual([first.weight, first.drain], [100, undefined])
    assert.equal((await api.call('GET', '/v1/drain-status/disk')).status, 404)
  })

  const REFUSALS: { what: string; body: object; pointer: string }[] = [
    { what: 'over', body: { deadline: '2020-01-01T00:00:00Z' }, pointer: '/deadline' },
    { what: 'too long', body: { deadline: inMinutes(31 * 1_440) }, pointer: '/deadline' },
    { what: 'without an end', body: { deadline: undefined }, pointer: '/deadline' },
    { what: 'until no time', body: { deadline: 'tomorrow' }, pointer: '/deadline' },
    { what: 'without a reason', body: { reason: '' }, pointer: '/reason' },
    { what: 'of nobody', body: { realServer: null }, pointer: '/realServer' },
    { what: 'of two things', body: { site: 'site-a' }, pointer: '/site' },
    { what: 'of an unknown name', body: { realServer: 'x' }, pointer: '/realServer' },
    { what: 'of a pool alone', body: { realServer: null, pool: 'web' }, pointer: '/realServer' },
    {
      what: 'of a pool and a site',
      body: { realServer: null, site: 'site-a', pool: 'web' },
      pointer: '/pool',
    },
    { what: 'idle for a day', body: { idleSeconds: 86_400 }, pointer: '/idleSeconds' },
    { what: 'misspelt', body: { expireTemplate: true }, pointer: '/expireTemplate' },
  ]
  for (const { what, body, pointer } of REFUSALS) {
    it(`refuses one that is ${what}`, async () => {
      const answer = await api.call('PUT', '/v1/drains/wrong', drain(body))
      assert.equal(answer.status, 422, answer.text)
      assert.equal(answer.body.errors[0].pointer, pointer)
    })
  }

  it('the CLI makes one, shows it, waits for it and cancels it', async () => {
    const words = ['drain', 'real-server', 'rs-a1', '--name', 'disk', '--reason', 'new disk']
    const made = await cli(...words, '--for', '15m')
    assert.equal(made.code, 0, made.stderr)
    assert.match(made.stdout, /^done in revision \d+, until /)
    await say(0, 312)
    const { stdout: list } = await cli('drain', 'list')
    assert.match(list, /disk +real server rs-a1 +draining +0\/1 +312 active, 0 other +\d{4}-/)
    const { stdout: shown } = await cli('drain', 'show', 'disk')
    assert.match(shown, /dir-a +draining +0\/1 +312 active, 0 other +800 s/)
    assert.match(shown, /dir-a +tcp\/10\.1\.0\.100:80 +10\.1\.0\.21:80 +312/)
    const waited = await cli('drain', 'wait', 'disk', '--timeout', '0m')
    assert.equal(waited.code, 1)
    assert.match(waited.stderr, /disk is draining.*312 active/)
    await say(1, 0)
    assert.equal((await cli('drain', 'wait', 'disk')).code, 0)
    assert.match((await cli('get', 'drains')).stdout, /disk +rs-a1 /)
    assert.equal((await cli('drain', 'cancel', 'disk')).code, 0)
    assert.match((await cli('drain', 'list')).stdout, /nothing drains/)
  })

  it('the CLI names a drain by what drains, and keeps the state drain of before', async () => {
    const words = ['drain', 'real-server', 'rs-a2', '--pool', 'web', '--reason', 'x', '--for', '1h']
    assert.equal((await cli(...words, '--idle', '0', '--expire-templates')).code, 0)
    const { body } = await api.call('GET', '/v1/drains/real-server-rs-a2-web')
    assert.deepEqual([body.pool, body.idleSeconds, body.expireTemplates], ['web', 0, true])
    assert.equal((await cli('drain', 'cancel', 'real-server-rs-a2-web')).code, 0)
    assert.equal((await cli('drain', 'site', 'site-b', '--reason', 'x', '--for', '1h')).code, 0)
    assert.equal((await cli('drain', 'cancel', 'site', 'site-b')).code, 0)
    assert.equal((await cli('drain', 'sites', 'site-b')).code, 0)
    assert.equal((await api.call('GET', '/v1/sites/site-b')).body.state, 'drain')
    for (const wrong of [
      ['drain', 'pool', 'web', '--reason', 'x', '--for', '1h'],
      ['drain', 'site', 'site-b', '--reason', 'x'],
      ['drain', 'site', 'site-b', '--for', '1h'],
      ['drain', 'site', 'site-b', '--for', 'ever', '--reason', 'x'],
    ]) {
      assert.equal((await cli(...wrong)).code, 2, wrong.join(' '))
    }
  })

  it('of a director leaves its VIPs to it, until it is disabled', async () => {
    const carried = async () => {
      const { body } = await api.call('GET', '/v1/hosts/director/dir-a/state')
      const weights = body.services.flatMap((one: JsonBody) =>
        one.destinations.map(({ weight }: JsonBody) => weight),
      )
      return { weights, vips: body.addresses.map(({ address }: JsonBody) => address) }
    }
    const before = await carried()
    assert.ok(before.vips.length > 0)
    assert.equal((await cli('drain', 'director', 'dir-a', '--reason', 'x', '--for', '1h')).code, 0)
    const drained = { ...before, weights: before.weights.map(() => 0) }
    assert.deepEqual(await carried(), drained)
    const disable = { state: 'disabled' }
    const refused = await api.call('PATCH', '/v1/directors/dir-a?force=true', disable)
    assert.deepEqual([refused.status, refused.body.code], [409, 'shrink-held'])
    const path = '/v1/directors/dir-a?force=true&allowShrink=true'
    assert.equal((await api.call('PATCH', path, disable)).status, 200)
    assert.deepEqual(await carried(), { weights: [], vips: [] })
    await api.call('PATCH', path, { state: 'active' })
    assert.equal((await cli('drain', 'cancel', 'director', 'dir-a')).code, 0)
    assert.deepEqual(await carried(), before)
  })
})
