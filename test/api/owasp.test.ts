/**
 * The OWASP API Security Top 10 (2023), one row for each thing that somebody would try. Who may call what is walked
 * whole in `permissions.test.ts`, tokens of OIDC in `oidc.test.ts`; here stands what an attacker with some credential tries.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { twoSites } from './fleets.ts'
import { makeCall, startTestApi, type TestAnswer, type TestApi } from './harness.ts'
import { enrolled, everyRole, keyFor, type Call } from './operators.ts'

let api: TestApi
let agent: Awaited<ReturnType<typeof enrolled>>
let roles: Awaited<ReturnType<typeof everyRole>>

before(async () => {
  api = await startTestApi()
  assert.equal((await api.call('PUT', '/v1/fleet', twoSites())).status, 200)
  agent = await enrolled(api, { role: 'director', name: 'dir-a', site: 'site-a' })
  await enrolled(api, { role: 'director', name: 'dir-b', site: 'site-b' })
  roles = await everyRole(api)
})
after(() => api.close())

const asAgent: Call = (...request) => makeCall(api.url, agent.accessToken)(...request)
const nobody: Call = (...request) => makeCall(api.url, '')(...request)
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

async function login(assertion: string): Promise<Pick<TestAnswer, 'status'>> {
  return agent.requestToken(assertion)
}

type Row = {
  readonly api: string
  readonly what: string
  readonly attack: () => Promise<Pick<TestAnswer, 'status'>>
  readonly status: number | readonly number[]
}

const ROWS: readonly Row[] = [
  {
    api: 'API1',
    what: 'a director asks for the state of another: the route has no place for a name',
    attack: () => asAgent('GET', '/v1/agent/state?name=dir-b'),
    status: 400,
  },
  {
    api: 'API1',
    what: 'a director asks for the state of another as operators do',
    attack: () => asAgent('GET', '/v1/hosts/director/dir-b/state'),
    status: 401,
  },
  {
    api: 'API1',
    what: 'an enroller asks for a key of others by its id',
    attack: async () =>
      roles.enroller('DELETE', `/v1/api-keys/${(await keyFor(api, { role: 'viewer' })).id}`),
    status: 403,
  },
  {
    api: 'API1',
    what: 'an operator revokes an admin’s key',
    attack: async () =>
      roles.operator('DELETE', `/v1/api-keys/${(await keyFor(api, { role: 'admin' })).id}`),
    status: 404,
  },
  {
    api: 'API2',
    what: 'an assertion is sent twice',
    attack: async () => {
      const assertion = await agent.assertion({ jti: randomUUID() })
      assert.equal((await login(assertion)).status, 200)
      return login(assertion)
    },
    status: 401,
  },
  {
    api: 'API2',
    what: 'an assertion for another audience',
    attack: async () => login(await agent.assertion({ audience: 'another-fleet' })),
    status: 401,
  },
  {
    api: 'API2',
    what: 'an assertion that is good for a day',
    attack: async () => login(await agent.assertion({ expiresInSeconds: 86_400 })),
    status: 401,
  },
  {
    api: 'API2',
    what: 'an assertion that is over',
    attack: async () => login(await agent.assertion({ expiresInSeconds: -300 })),
    status: 401,
  },
  ...['none', 'None', 'HS256', 'RS256'].map((alg) => ({
    api: 'API2',
    what: `an assertion with alg ${alg}`,
    attack: async () => {
      const [, payload, signature] = (await agent.assertion()).split('.')
      const header = Buffer.from(JSON.stringify({ alg, kid: agent.thumbprint })).toString(
        'base64url',
      )
      return login(`${header}.${payload}.${alg.toLowerCase() === 'none' ? '' : signature}`)
    },
    status: [401, 422],
  })),
  {
    api: 'API2',
    what: 'an API key with its last letter changed',
    attack: () => makeCall(api.url, `${api.adminKey.slice(0, -1)}_`)('GET', '/v1/fleet'),
    status: 401,
  },
  {
    api: 'API2',
    what: 'an API key with another id',
    attack: () =>
      makeCall(api.url, api.adminKey.replace(/_[0-9a-f]{12}_/, '_000000000000_'))(
        'GET',
        '/v1/fleet',
      ),
    status: 401,
  },
  {
    api: 'API2',
    what: 'a key in the query instead of the header',
    attack: () => nobody('GET', `/v1/fleet?access_token=${api.adminKey}`),
    status: 401,
  },
  {
    api: 'API3',
    what: 'a pool brings the fields of the server: they are not written',
    attack: async () => {
      const body = { id: randomUUID(), version: 99, createdAt: '2000-01-01T00:00:00Z' }
      const made = await roles.operator('PUT', '/v1/pools/mass?force=true', body)
      if (made.status >= 400) return made
      assert.notEqual(made.body.id, body.id)
      assert.notEqual(made.body.version, 99)
      return made
    },
    status: [201, 412],
  },
  {
    api: 'API3',
    what: 'a key brings its own secret',
    attack: () =>
      api.call('POST', '/v1/api-keys', { name: 'mass', role: 'viewer', sha256: '0'.repeat(64) }),
    status: 422,
  },
  {
    api: 'API3',
    what: 'a join token brings its uses',
    attack: () =>
      api.call('POST', '/v1/join-tokens', { role: 'director', site: 'site-a', uses: -1 }),
    status: 422,
  },
  {
    api: 'API3',
    what: 'a misspelt dryRun would write',
    attack: () => roles.operator('PUT', '/v1/fleet?dryrun=true', twoSites()),
    status: 400,
  },
  {
    api: 'API3',
    what: 'keys and tokens are read back: nothing in them opens anything',
    attack: async () => {
      const made = await api.call('POST', '/v1/join-tokens', { role: 'director', site: 'site-a' })
      const texts = await Promise.all(
        ['/v1/api-keys', '/v1/join-tokens', '/v1/audit-events?limit=1000'].map(
          async (path) => (await api.call('GET', path)).text,
        ),
      )
      for (const text of texts) {
        assert.ok(!text.includes('"sha256"'))
        for (const secret of [api.adminKey, made.body.token, agent.accessToken])
          assert.ok(!text.includes(secret.slice(-43)))
      }
      return { status: 200 }
    },
    status: 200,
  },
  {
    api: 'API4',
    what: 'a body of two megabytes',
    attack: () =>
      roles.operator('PUT', '/v1/pools/big', JSON.stringify({ x: 'x'.repeat(2 ** 21) })),
    status: 413,
  },
  {
    api: 'API4',
    what: 'a body a thousand levels deep',
    attack: () => roles.operator('PUT', '/v1/pools/deep', nested(1_000)),
    status: 400,
  },
  {
    api: 'API4',
    what: 'a body that unpacks to more',
    attack: () => roles.operator('PUT', '/v1/pools/zip', '{}', { 'content-encoding': 'gzip' }),
    status: 415,
  },
  {
    api: 'API4',
    what: 'a page of a million',
    attack: () => roles.viewer('GET', '/v1/pools?limit=1000000'),
    status: 400,
  },
  {
    api: 'API4',
    what: 'one identity asks without end; others are served',
    attack: async () => {
      const moment = new Date()
      const limited = await startTestApi({ requestsPerSecond: 2, now: () => moment })
      const viewer = await keyFor(limited, { role: 'viewer' })
      const answers = await Promise.all(
        Array.from({ length: 30 }, () => viewer.call('GET', '/v1/controller')),
      )
      const other = await limited.call('GET', '/v1/controller')
      await limited.close()
      assert.equal(other.status, 200)
      const turnedAway = answers.filter(({ status }) => status === 429)
      assert.equal(turnedAway.length, 10)
      const [refused] = turnedAway
      assert.ok(refused)
      assert.ok(Number(refused.headers.get('retry-after')) >= 1)
      assert.match(refused.headers.get('ratelimit') ?? '', /^"identity";r=0;t=\d+$/)
      assert.match(refused.headers.get('ratelimit-policy') ?? '', /^"identity";q=20;w=10$/)
      assert.match(refused.headers.get('content-type') ?? '', /problem\+json/)
      return refused
    },
    status: 429,
  },
  {
    api: 'API5',
    what: 'a viewer makes an admin key',
    attack: () => roles.viewer('POST', '/v1/api-keys', { name: 'up', role: 'admin' }),
    status: 403,
  },
  {
    api: 'API5',
    what: 'an operator makes an admin key',
    attack: () => roles.operator('POST', '/v1/api-keys', { name: 'up', role: 'admin' }),
    status: 403,
  },
  {
    api: 'API5',
    what: 'a site operator makes a key for another site',
    attack: () =>
      roles['site-operator']('POST', '/v1/api-keys', {
        name: 'up',
        role: 'site-operator',
        sites: ['site-a', 'site-b'],
      }),
    status: 403,
  },
  {
    api: 'API5',
    what: 'a key makes one that outlives it',
    attack: async () => {
      const { secret } = await keyForAnHour()
      const wanted = { name: 'long', role: 'viewer', ttlSeconds: 86_400 }
      return makeCall(api.url, secret)('POST', '/v1/api-keys', wanted)
    },
    status: 403,
  },
  {
    api: 'API5',
    what: 'a method in another spelling',
    attack: () => roles.viewer('PUT', '/v1/fleet/', twoSites()),
    status: [403, 404],
  },
  {
    api: 'API5',
    what: 'a method in a header',
    attack: async () => {
      const { revision } = (await api.call('GET', '/v1/controller')).body
      const headers = { 'x-http-method-override': 'DELETE' }
      await roles.viewer('GET', '/v1/pools/web', undefined, headers)
      assert.equal((await api.call('GET', '/v1/controller')).body.revision, revision)
      return roles.viewer('GET', '/v1/pools/web')
    },
    status: 200,
  },
  {
    api: 'API6',
    what: 'an enroller looks for names: what is another site’s and what is not there look alike',
    attack: async () => {
      const revoke = (name: string) => roles.enroller('POST', `/v1/hosts/director/${name}/revoke`)
      const [foreign, none] = [await revoke('dir-b'), await revoke('dir-x')]
      assert.equal(foreign.status, none.status)
      assert.equal(foreign.body.detail.replace('dir-b', ''), none.body.detail.replace('dir-x', ''))
      return foreign
    },
    status: 404,
  },
  {
    api: 'API6',
    what: 'an enroller reads the fleet',
    attack: () => roles.enroller('GET', '/v1/fleet'),
    status: 403,
  },
  {
    api: 'API6',
    what: 'a path below /v1 tells nobody whether it is there',
    attack: async () => {
      const [there, none] = [await nobody('GET', '/v1/pools/web'), await nobody('GET', '/v1/x')]
      assert.equal(there.body.detail, none.body.detail)
      return none
    },
    status: 401,
  },
  {
    api: 'API8',
    what: 'a mistake tells nothing of the inside, and answers carry safe headers',
    attack: async () => {
      const answer = await roles.operator('PUT', '/v1/fleet', '{')
      assert.doesNotMatch(answer.text, /\bat \/|node_modules|\.ts:/)
      assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
      assert.equal(answer.headers.get('cache-control'), 'no-store')
      assert.equal(answer.headers.get('x-powered-by'), null)
      return answer
    },
    status: 400,
  },
]

for (const row of ROWS) {
  test(`${row.api}: ${row.what}`, async () => {
    const { status } = await row.attack()
    assert.ok([row.status].flat().includes(status), `answered ${status}, not ${String(row.status)}`)
  })
}

test('each of the ten has its rows, here or in the file that walks it whole', () => {
  const elsewhere = ['API7', 'API9', 'API10']
  const covered = new Set([...ROWS.map((row) => row.api), ...elsewhere])
  assert.equal(covered.size, 10)
})

async function keyForAnHour(): Promise<{ secret: string }> {
  const wanted = { name: 'hour', role: 'operator', ttlSeconds: 3_600 }
  return { secret: (await api.call('POST', '/v1/api-keys', wanted)).body.key }
}
