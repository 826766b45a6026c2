/** Explain over HTTP: a packet's answer, the revision that it holds for, and how it refuses. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { parse } from 'yaml'
import { startTestApi, type JsonBody, type TestApi } from './harness.ts'
import { root, runCli } from './run-cli.ts'

describe('GET /v1/explain', () => {
  let api: TestApi
  before(async () => {
    api = await startTestApi()
    const fleet: unknown = parse(readFileSync(`${root}examples/three-sites.yaml`, 'utf8'))
    const applied = await api.call('PUT', '/v1/fleet', fleet)
    assert.equal(applied.status, 200, applied.text)
    const warnings = applied.body.warnings.map((one: JsonBody) => [one.pointer, one.code])
    assert.deepEqual(
      warnings,
      Array.from({ length: 3 }, () => ['/virtualServices/status/forwarding', 'udp-mtu']),
    )
  })
  after(async () => api.close())

  const PACKET = 'director=dir-a&vip=10.1.0.100&port=80&client=198.51.100.7'

  it('shows each method where it belongs, with reason, factors and hops', async () => {
    const { status, body } = await api.call('GET', `/v1/explain?${PACKET}`)
    assert.equal(status, 200)
    assert.deepEqual([body.revision, body.service], [1, 'tcp/10.1.0.100:80'])
    assert.equal(body.persistence.together, '198.51.100.0/24')
    const methods = body.destinations.map((one: JsonBody) => [one.realServer, one.forwarding])
    assert.deepEqual(methods, [
      ['rs-a2', 'nat'],
      ['rs-a0', 'local'],
      ['rs-a1', 'dr'],
      ['rs-b1', 'tun gre'],
      ['rs-c1', 'tun gue 6080'],
      ['rs-c2', 'tun ipip'],
    ])
    const gue = body.destinations[4]
    assert.deepEqual(
      gue.passedOver.map(({ method }: JsonBody) => method),
      ['local', 'dr'],
    )
    assert.deepEqual(
      gue.weightFactors.map(({ value }: JsonBody) => value),
      [100, 1, 1, 1],
    )
    assert.deepEqual(gue.path[2].sends, {
      source: '198.51.100.7',
      destination: '10.1.0.100:80',
      outer: {
        sources: ['10.1.0.10'],
        destination: '10.3.0.11',
        tunnel: 'gue 6080',
        protocol: 17,
        port: 6080,
        bytes: 32,
      },
      mtu: { bytes: 1368, because: '1400 (path to c of site a) less 32 of gue 6080 over IPv4' },
      mss: { bytes: 1328, because: 'nftables on rs-c1 sets it in its SYN-ACK' },
    })
  })

  it('says in the document what it answers', async () => {
    const { body } = await api.call('GET', '/openapi.json')
    const { parameters, responses } = body.paths['/v1/explain'].get
    assert.deepEqual(
      parameters.map(({ name, required }: JsonBody) => [name, required === true]),
      [
        ['director', true],
        ['vip', true],
        ['protocol', false],
        ['port', false],
        ['firewallMark', false],
        ['client', false],
      ],
    )
    assert.ok(responses['200'].content['application/json'].schema)
  })

  const REFUSALS: { query: string; status: number; code: string; says: RegExp }[] = [
    { query: 'director=none&vip=10.1.0.100', status: 404, code: 'not-found', says: /no director/ },
    { query: 'director=dir-a&vip=10.9.9.9', status: 404, code: 'not-found', says: /carries no/ },
    { query: 'director=dir-a&vip=10.1.0.100&port=81', status: 404, code: 'not-found', says: /81/ },
    { query: 'vip=10.1.0.100', status: 400, code: 'invalid-parameter', says: /query:director/ },
    { query: 'director=dir-a&vip=x', status: 400, code: 'invalid-parameter', says: /query:vip/ },
    { query: `${PACKET}&ports=80`, status: 400, code: 'invalid-parameter', says: /unknown|ports/ },
    {
      query: 'director=dir-a&vip=10.1.0.100&port=0x50',
      status: 400,
      code: 'invalid-parameter',
      says: /query:port must be a whole number/,
    },
    {
      query: 'director=dir-a&vip=10.1.0.100&client=fd00::1',
      status: 400,
      code: 'invalid-parameter',
      says: /families differ/,
    },
  ]
  for (const { query, status, code, says } of REFUSALS) {
    it(`refuses ${query}`, async () => {
      const answer = await api.call('GET', `/v1/explain?${query}`)
      assert.deepEqual([answer.status, answer.body.code], [status, code], answer.text)
      assert.match(answer.body.detail, says)
    })
  }

  const cli = async (...words: string[]) =>
    runCli(['explain', ...words], '', { LVSFLEET_API: api.url, LVSFLEET_KEY: api.adminKey })

  it('the CLI gives the same as JSON', async () => {
    const words = ['--director', 'dir-a', '--vip', '10.1.0.100', '-o', 'json']
    const { code, stdout } = await cli(...words)
    assert.equal(code, 0)
    const printed: JsonBody = JSON.parse(stdout)
    assert.equal(printed.destinations.length, 6)
    assert.equal(printed.destinations[4].path[2].sends.outer.port, 6080)
  })

  const WRONG: { words: string[]; code: number; says: RegExp }[] = [
    { words: [], code: 2, says: /--director and --vip/ },
    { words: ['shop-a', '--vip', '10.1.0.100'], code: 2, says: /leave out shop-a/ },
    {
      words: ['--director', 'dir-a', '--vip', '10.1.0.100', '--real-server', 'x'],
      code: 1,
      says: /shop-a has no real server x/,
    },
  ]
  for (const { words, code, says } of WRONG) {
    it(`the CLI refuses "explain ${words.join(' ')}" in one line`, async () => {
      const result = await cli(...words)
      assert.equal(result.code, code)
      assert.match(result.stderr, says)
    })
  }
})
