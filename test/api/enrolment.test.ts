import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { makeAgentClient, type AgentClient } from '../fakes/agent-client.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type TestApi } from './harness.ts'

let clockMs = 0
let api: TestApi
before(async () => {
  api = await startTestApi({ now: () => new Date(Date.now() + clockMs) })
  const fleet = twoSites()
  // A second director of site-b joins below: a VIP that each director held itself would stand twice.
  fleet.virtualServices.db.vipDelivery = 'external'
  assert.equal((await api.call('PUT', '/v1/fleet', fleet)).status, 200)
})
after(() => api.close())

async function joinToken(wanted: Record<string, unknown>): Promise<string> {
  const made = await api.call('POST', '/v1/join-tokens', wanted)
  assert.equal(made.status, 201, made.text)
  return made.body.token
}

async function codeOf(answer: Response): Promise<string> {
  const body: unknown = await answer.json()
  return typeof body === 'object' && body !== null && 'code' in body ? String(body.code) : ''
}

describe('enrolment', () => {
  test('of two racers with one token one wins', async () => {
    const token = await joinToken({ role: 'real-server', site: 'site-a' })
    const racers = Array.from({ length: 8 }, (_, n) =>
      makeAgentClient(api.url).enrol(token, {
        role: 'real-server',
        name: `racer-${n}`,
        addresses: [`10.1.0.${200 + n}`],
      }),
    )
    const statuses = (await Promise.all(racers)).map((answer) => answer.status)
    assert.equal(statuses.filter((status) => status === 200).length, 1, String(statuses))
    assert.equal(statuses.filter((status) => status === 401).length, 7, String(statuses))
    const created = await api.call('GET', '/v1/real-servers?name=racer-')
    assert.equal(created.body.items.length, 1)
    assert.deepEqual(created.body.items[0].site, 'site-a')
  })

  test('with a lost answer is asked again with the same key and spends nothing', async () => {
    const token = await joinToken({ role: 'director', site: 'site-b', name: 'dir-b' })
    const agent = makeAgentClient(api.url)
    const first = await agent.join(token, { role: 'director', name: 'dir-b' })
    const second = await agent.join(token, { role: 'director', name: 'dir-b' })
    assert.deepEqual(second, first)
    const list = await api.call('GET', '/v1/join-tokens')
    const spent = list.body.items.find((one: { id: string }) => token.includes(one.id))
    assert.equal(spent.uses, 1)
    assert.ok(!list.text.includes('sha256'))
  })

  test('of a name that is enrolled is refused, and the token is not spent', async () => {
    const token = await joinToken({ role: 'director', site: 'site-b' })
    const answer = await makeAgentClient(api.url).enrol(token, { role: 'director', name: 'dir-b' })
    assert.equal(answer.status, 409)
    assert.equal(await codeOf(answer), 'already-enrolled')
    const fresh = await makeAgentClient(api.url).enrol(token, {
      role: 'director',
      name: 'dir-new',
      addresses: ['10.2.0.11'],
    })
    assert.equal(fresh.status, 200, await fresh.text())
    const made = (await api.call('GET', '/v1/directors/dir-new')).body
    assert.deepEqual([made.site, made.addresses], ['site-b', ['10.2.0.11']])
  })

  test('is possible anew after the identity is revoked', async () => {
    const first = makeAgentClient(api.url)
    await first.join(await joinToken({ role: 'real-server', site: 'site-b' }), {
      role: 'real-server',
      name: 'rs-b1',
    })
    await first.login()
    assert.equal((await first.state()).status, 200)
    assert.equal((await api.call('POST', '/v1/hosts/real-server/rs-b1/revoke')).status, 204)
    assert.equal((await first.state()).status, 401)
    assert.equal((await first.requestToken(await first.assertion())).status, 401)
    const again = await first.enrol(await joinToken({ role: 'real-server', site: 'site-b' }), {
      role: 'real-server',
      name: 'rs-b1',
    })
    assert.equal(again.status, 409, 'a revoked key stays out')
    const second = makeAgentClient(api.url)
    await second.join(await joinToken({ role: 'real-server', site: 'site-b' }), {
      role: 'real-server',
      name: 'rs-b1',
    })
    assert.equal((await api.call('POST', '/v1/hosts/director/none/revoke')).status, 404)
  })

  test('ends when the resource is deleted', async () => {
    const agent = makeAgentClient(api.url)
    await agent.join(await joinToken({ role: 'real-server', site: 'site-a' }), {
      role: 'real-server',
      name: 'rs-short',
      addresses: ['10.1.0.77'],
    })
    await agent.login()
    assert.equal((await api.call('DELETE', '/v1/real-servers/rs-short')).status, 200)
    assert.equal((await agent.state()).status, 401)
  })

  const host = { role: 'real-server', name: 'rs-a1' } as const
  const rows: {
    name: string
    token: Record<string, unknown>
    host?: { role: 'director' | 'real-server'; name: string; addresses?: string[]; proof?: string }
    spoil?: (token: string) => string
    status: number
    code: string
  }[] = [
    {
      name: 'a token for another role',
      token: { role: 'director', site: 'site-a' },
      status: 409,
      code: 'enrolment-mismatch',
    },
    {
      name: 'a token for another name',
      token: { role: 'real-server', site: 'site-a', name: 'rs-a2' },
      status: 409,
      code: 'enrolment-mismatch',
    },
    {
      name: 'a token for another site',
      token: { role: 'real-server', site: 'site-b' },
      status: 409,
      code: 'enrolment-mismatch',
    },
    {
      name: 'a wrong secret',
      token: { role: 'real-server', site: 'site-a' },
      spoil: (token) => `${token.slice(0, 18)}${'A'.repeat(43)}`,
      status: 401,
      code: 'invalid-token',
    },
    {
      name: 'no token of ours',
      token: { role: 'real-server', site: 'site-a' },
      spoil: () => 'x',
      status: 401,
      code: 'invalid-token',
    },
    {
      name: 'a proof by nobody',
      token: { role: 'real-server', site: 'site-a' },
      host: { ...host, proof: 'A'.repeat(86) },
      status: 401,
      code: 'invalid-assertion',
    },
    {
      name: 'an undeclared host without addresses',
      token: { role: 'real-server', site: 'site-a' },
      host: { role: 'real-server', name: 'rs-none' },
      status: 422,
      code: 'invalid-body',
    },
    {
      name: 'an undeclared host with a taken address',
      token: { role: 'real-server', site: 'site-a' },
      host: { role: 'real-server', name: 'rs-none', addresses: ['10.1.0.21'] },
      status: 422,
      code: 'invalid-intent',
    },
  ]
  for (const row of rows) {
    test(`with ${row.name} is refused with ${row.status} ${row.code}`, async () => {
      const token = await joinToken(row.token)
      const answer = await makeAgentClient(api.url).enrol(
        row.spoil?.(token) ?? token,
        row.host ?? host,
      )
      assert.equal(answer.status, row.status)
      assert.equal(await codeOf(answer), row.code)
      assert.equal((await api.call('GET', '/v1/real-servers/rs-none')).status, 404)
    })
  }

  test('with a revoked or an expired token is refused', async () => {
    const revoked = await joinToken({ role: 'real-server', site: 'site-a' })
    const id = revoked.split('_')[1]
    assert.equal((await api.call('DELETE', `/v1/join-tokens/${id}`)).status, 200)
    assert.equal((await makeAgentClient(api.url).enrol(revoked, host)).status, 401)
    const expired = await joinToken({ role: 'real-server', site: 'site-a', ttlSeconds: 60 })
    clockMs = 61_000
    assert.equal((await makeAgentClient(api.url).enrol(expired, host)).status, 401)
    clockMs = 0
  })

  test('tokens live a day at most, and only for sites that are', async () => {
    const ask = (wanted: object) =>
      api.call('POST', '/v1/join-tokens', { role: 'director', site: 'site-a', ...wanted })
    assert.equal((await ask({ ttlSeconds: 86_401 })).status, 422)
    assert.equal((await ask({ site: 'nowhere' })).status, 422)
    assert.equal((await ask({ maxUses: 0 })).status, 422)
    assert.equal((await api.call('DELETE', '/v1/join-tokens/000000000000')).status, 404)
  })
})

describe('client assertions', () => {
  let agent: AgentClient
  let hostId = ''
  before(async () => {
    agent = makeAgentClient(api.url)
    const token = await joinToken({ role: 'director', site: 'site-a' })
    hostId = (await agent.join(token, { role: 'director', name: 'dir-a' })).hostId
  })

  const jwt = (header: object, claims: object, signature: string) => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    return `${part(header)}.${part(claims)}.${signature}`
  }
  const claims = () => {
    const now = Math.floor(Date.now() / 1_000)
    return {
      iss: hostId,
      sub: hostId,
      aud: 'test-fleet',
      jti: randomUUID(),
      iat: now,
      exp: now + 60,
    }
  }

  test('buy a token that lives a quarter of an hour', async () => {
    const answer = await agent.requestToken(await agent.assertion())
    assert.equal(answer.status, 200)
    const body: unknown = await answer.json()
    assert.ok(typeof body === 'object' && body !== null && 'expires_in' in body)
    assert.equal(body.expires_in, 900)
  })

  test('work once', async () => {
    const assertion = await agent.assertion()
    const both = await Promise.all([agent.requestToken(assertion), agent.requestToken(assertion)])
    assert.deepEqual(
      both.map((answer) => answer.status).toSorted((a, b) => a - b),
      [200, 401],
    )
    assert.equal((await agent.requestToken(assertion)).status, 401)
  })

  const refused: [string, () => Promise<string> | string][] = [
    ['alg none', () => jwt({ alg: 'none', kid: agent.thumbprint }, claims(), '')],
    [
      'alg none with a signature',
      () => jwt({ alg: 'none', kid: agent.thumbprint }, claims(), 'AAAA'),
    ],
    [
      'HS256 keyed with the public key',
      () => {
        const unsigned = jwt({ alg: 'HS256', kid: agent.thumbprint }, claims(), '').slice(0, -1)
        return `${unsigned}.${createHmac('sha256', agent.publicKey.x).update(unsigned).digest('base64url')}`
      },
    ],
    ['another audience', () => agent.assertion({ audience: 'https://other.example' })],
    ['no audience', () => agent.assertion({ audience: '' })],
    ['a foreign key', () => agent.assertion({ key: generateKeyPairSync('ed25519').privateKey })],
    ['an unknown kid', () => agent.assertion({ kid: 'unknown' })],
    ['expired', () => agent.assertion({ expiresInSeconds: -30 })],
    ['an hour long', () => agent.assertion({ expiresInSeconds: 3_600 })],
    ['another subject', () => agent.assertion({ subject: randomUUID() })],
    ['a short jti', () => agent.assertion({ jti: 'x' })],
    ['a long jti', () => agent.assertion({ jti: 'x'.repeat(200) })],
    ['nothing', () => ''],
    ['nonsense', () => 'a.b.c'],
    [
      'a payload that is swapped',
      async () => {
        const [header, , signature] = (await agent.assertion()).split('.')
        const swapped = Buffer.from(JSON.stringify(claims())).toString('base64url')
        return `${header}.${swapped}.${signature}`
      },
    ],
  ]
  for (const [name, make] of refused) {
    test(`with ${name} are refused, and the answer tells the time`, async () => {
      const answer = await agent.requestToken(await make())
      assert.equal(answer.status, 401)
      const said = Date.parse(answer.headers.get('date') ?? '')
      assert.ok(Math.abs(said - Date.now()) < 5_000)
      assert.equal(await codeOf(answer), 'invalid-assertion')
    })
  }

  test('of another form are not valid bodies', async () => {
    const answer = await api.call('POST', '/v1/agent/token', { grant_type: 'password' })
    assert.equal(answer.status, 422)
  })
})
