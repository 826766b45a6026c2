/** Operators by OIDC, against a provider that is one: what it signs is believed, and nothing that only looks so. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { calculateJwkThumbprint, exportJWK, exportSPKI, importJWK, SignJWT } from 'jose'
import { parseOidcSettings } from '../../services/api/src/identity/oidc-settings.ts'
import { OidcVerifier } from '../../services/api/src/identity/oidc.ts'
import { AUDIENCE, makeKey, startOidcIssuer, type OidcIssuer } from '../fakes/oidc-issuer.ts'
import { twoSites } from './fleets.ts'
import { makeCall, startTestApi, type TestApi } from './harness.ts'
import { runCli } from './run-cli.ts'

const GROUPS = {
  boss: ['everybody', 'fleet-admins'],
  'ci-a': ['everybody', 'site-a'],
  guest: ['everybody'],
  nobody: [],
}

function settings(issuer: string, more: object = {}) {
  return {
    issuers: [
      {
        name: 'idp',
        issuer,
        audience: AUDIENCE,
        cooldownSeconds: 20,
        rules: [
          { claim: 'groups', value: 'fleet-admins', role: 'admin' },
          { claim: 'groups', value: 'site-a', role: 'site-operator', sites: ['site-a'] },
          { claim: 'groups', value: 'everybody', role: 'viewer' },
        ],
        ...more,
      },
    ],
  }
}

let issuer: OidcIssuer
let api: TestApi
let folder = ''
/** Added to the API's clock. */
let aheadMs = 0

before(async () => {
  issuer = await startOidcIssuer(GROUPS)
  folder = await mkdtemp(join(tmpdir(), 'lvsfleet-oidc-'))
  const oidcFile = join(folder, 'oidc.json')
  await writeFile(oidcFile, JSON.stringify(settings(issuer.issuer)))
  api = await startTestApi({ oidcFile, now: () => new Date(Date.now() + aheadMs) })
  assert.equal((await api.call('PUT', '/v1/fleet', twoSites())).status, 200)
})
after(async () => {
  await api.close()
  await issuer.stop()
  await rm(folder, { recursive: true, force: true })
})

const as = (token: string) => makeCall(api.url, token)
const seconds = () => Math.floor((Date.now() + aheadMs) / 1_000)
const claims = (more: object = {}) => ({
  iss: issuer.issuer,
  sub: 'boss',
  aud: AUDIENCE,
  iat: seconds(),
  exp: seconds() + 300,
  groups: ['fleet-admins'],
  ...more,
})

describe('what the provider signs', () => {
  test('gives the role of the first rule that fits', async () => {
    const boss = as(await issuer.token('boss'))
    const made = await boss('POST', '/v1/api-keys', { name: 'by-oidc', role: 'admin' })
    assert.equal(made.status, 201, made.text)
    const ci = as(await issuer.token('ci-a'))
    const drain = (name: string) =>
      ci('PATCH', `/v1/real-servers/${name}?force=true`, { state: 'drain' })
    assert.equal((await drain('rs-a1')).status, 200)
    assert.equal((await drain('rs-b1')).status, 403)
    const guest = as(await issuer.token('guest'))
    assert.equal((await guest('GET', '/v1/fleet')).status, 200)
    assert.equal((await guest('PUT', '/v1/fleet', twoSites())).status, 403)
    const nobody = await as(await issuer.token('nobody'))('GET', '/v1/fleet')
    assert.equal(nobody.status, 403)
    assert.match(nobody.body.detail, /no rule/)
  })

  test('is in the audit trail by issuer and subject', async () => {
    const { items } = (await api.call('GET', '/v1/audit-events?limit=100')).body
    const actors = new Set(items.map(({ actor }: { actor: string }) => actor))
    assert.ok(actors.has('oidc/idp/boss') && actors.has('oidc/idp/ci-a'), [...actors].join())
  })

  test('opens the CLI', async () => {
    const file = join(folder, 'token')
    await writeFile(file, await issuer.token('boss'))
    const byFile = await runCli(['--token-file', file, 'status'], '', { LVSFLEET_API: api.url })
    assert.equal(byFile.code, 0, byFile.stderr)
    const env = { LVSFLEET_API: api.url, LVSFLEET_TOKEN: await issuer.token('guest') }
    assert.equal((await runCli(['status'], '', env)).code, 0)
    assert.equal((await runCli(['drain', 'site', 'site-a'], '', env)).code, 1)
  })
})

const FORGED: readonly { what: string; token: () => Promise<string>; why: RegExp }[] = [
  {
    what: 'for another audience',
    token: () => issuer.token('boss', 'https://another.example'),
    why: /claim aud/,
  },
  {
    what: 'without audience',
    token: () => issuer.forge(claims({ aud: undefined })),
    why: /claim aud/,
  },
  {
    what: 'of another issuer, signed by it',
    token: async () => {
      const other = await startOidcIssuer(GROUPS)
      try {
        return await other.token('boss')
      } finally {
        await other.stop()
      }
    },
    why: /issuer is not one/,
  },
  {
    what: 'that claims our issuer and is signed by another',
    token: async () => issuer.forge(claims(), { key: await makeKey('first') }),
    why: /signature/,
  },
  {
    what: 'with an issuer that differs by a slash',
    token: () => issuer.forge(claims({ iss: `${issuer.issuer}/` })),
    why: /issuer is not one/,
  },
  {
    what: 'with alg none',
    token: async () => `${part({ alg: 'none', typ: 'JWT' })}.${part(claims())}.`,
    why: /algorithm|form/,
  },
  {
    what: 'with alg None and a signature',
    token: async () => `${part({ alg: 'None' })}.${part(claims())}.AAAA`,
    why: /algorithm|form/,
  },
  {
    what: 'with HS256 over the public key as JWK',
    token: async () => hs256(JSON.stringify(await publicJwk())),
    why: /algorithm/,
  },
  {
    what: 'with HS256 over the public key as PEM',
    token: async () => {
      const key = await importJWK(await publicJwk(), 'ES256', { extractable: true })
      assert.ok(!(key instanceof Uint8Array))
      return hs256(await exportSPKI(key))
    },
    why: /algorithm/,
  },
  {
    what: 'that brings its own key',
    token: async () => {
      const own = await makeKey('own')
      return issuer.forge(claims(), { key: own, header: { jwk: await exportJWK(own.privateKey) } })
    },
    why: /key is not one/,
  },
  {
    what: 'that names where its keys are',
    token: async () =>
      issuer.forge(claims(), {
        key: await makeKey('own'),
        header: { jku: 'http://127.0.0.1:1/jwks' },
      }),
    why: /key is not one/,
  },
  {
    what: 'with an extension that must be understood',
    token: async () => {
      const [, payload, signature] = (await issuer.forge(claims())).split('.')
      const header = { alg: 'ES256', kid: issuer.key().kid, crit: ['x'], x: true }
      return `${part(header)}.${payload}.${signature}`
    },
    why: /form/,
  },
  {
    what: 'that is expired',
    token: () => issuer.forge(claims({ iat: seconds() - 600, exp: seconds() - 60 })),
    why: /expired/,
  },
  {
    what: 'that is older than an hour and good for a year',
    token: () => issuer.forge(claims({ iat: seconds() - 3_700, exp: seconds() + 31_536_000 })),
    why: /expired or older/,
  },
  {
    what: 'from the future',
    token: () => issuer.forge(claims({ iat: seconds() + 300, exp: seconds() + 600 })),
    why: /claim iat/,
  },
  {
    what: 'that is not good yet',
    token: () => issuer.forge(claims({ nbf: seconds() + 300 })),
    why: /claim nbf/,
  },
  { what: 'without end', token: () => issuer.forge(claims({ exp: undefined })), why: /claim exp/ },
  { what: 'without age', token: () => issuer.forge(claims({ iat: undefined })), why: /claim iat/ },
  { what: 'of nobody', token: () => issuer.forge(claims({ sub: undefined })), why: /claim sub/ },
  {
    what: 'whose subject would forge a log line',
    token: () => issuer.forge(claims({ sub: 'a\nb' })),
    why: /subject/,
  },
  {
    what: 'with a key that nobody knows',
    token: async () => issuer.forge(claims(), { key: await makeKey('unknown') }),
    why: /key is not one/,
  },
  {
    what: 'of another type',
    token: () => issuer.forge(claims(), { header: { typ: 'logout+jwt' } }),
    why: /issuer is not one/,
  },
  {
    what: 'with a changed payload',
    token: async () => {
      const [header, , signature] = (await issuer.token('guest')).split('.')
      return `${header}.${part(claims())}.${signature}`
    },
    why: /signature/,
  },
]

describe('refused with 401: a token', () => {
  for (const { what, token, why } of FORGED) {
    test(what, async () => {
      const answer = await as(await token())('GET', '/v1/fleet')
      assert.equal(answer.status, 401, answer.text)
      assert.match(answer.body.detail, why)
      assert.ok(answer.headers.get('www-authenticate'))
    })
  }

  test('and the forger’s own payload would have been good', async () => {
    assert.equal((await as(await issuer.forge(claims()))('GET', '/v1/fleet')).status, 200)
  })
})

describe('keys', () => {
  test('of tokens that nobody knows are looked for once per cool-down', async () => {
    const forged = await issuer.forge(claims(), { key: await makeKey('unknown') })
    aheadMs += 21_000
    const asked = issuer.keyRequests()
    await Promise.all(Array.from({ length: 50 }, () => as(forged)('GET', '/v1/fleet')))
    assert.equal(issuer.keyRequests(), asked + 1)
  })

  test('that the issuer rotates are found, and the old ones are gone', async () => {
    const old = await issuer.token('boss')
    await issuer.rotate()
    aheadMs += 21_000
    assert.equal((await as(await issuer.token('boss'))('GET', '/v1/fleet')).status, 200)
    assert.equal((await as(old)('GET', '/v1/fleet')).status, 401)
  })

  test('stay good while the issuer is down, for a day', async () => {
    await issuer.stop()
    const signed = async () => as(await issuer.forge(claims()))('GET', '/v1/fleet')
    assert.equal((await signed()).status, 200)
    aheadMs += 3_600_000
    assert.equal((await signed()).status, 200)
    aheadMs += 24 * 3_600_000
    const answer = await signed()
    assert.equal(answer.status, 401)
    assert.match(answer.body.detail, /keys of its issuer cannot be had/)
  })
})

describe('an issuer that behaves badly', () => {
  const BAD: readonly [what: string, answer: (url: string, host: string) => Bad][] = [
    ['says that it is another', () => ({ body: { issuer: 'https://x.example', jwks_uri: 'x' } })],
    [
      'has its keys at the address of cloud metadata',
      (_, host) => ({ body: { issuer: host, jwks_uri: 'http://169.254.169.254/latest' } }),
    ],
    [
      'has its keys at another host',
      (_, host) => ({ body: { issuer: host, jwks_uri: 'https://x.example/jwks' } }),
    ],
    [
      'has its keys in a file',
      (_, host) => ({ body: { issuer: host, jwks_uri: 'file:///etc/passwd' } }),
    ],
    ['redirects', () => ({ status: 302, headers: { location: 'http://127.0.0.1:1/' } })],
    ['answers without end', () => ({ body: 'x'.repeat(300_000) })],
    [
      'gives a shared secret for a key',
      (url, host) => ({
        body: url.endsWith('/jwks')
          ? { keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'first', alg: 'HS256' }] }
          : { issuer: host, jwks_uri: `${host}/jwks` },
      }),
    ],
    ['answers with 500', () => ({ status: 500 })],
    ['answers what is not JSON', () => ({ body: '<html>' })],
  ]
  type Bad = { status?: number; headers?: Record<string, string>; body?: unknown }

  for (const [what, answer] of BAD) {
    test(`and ${what} is not believed`, async () => {
      let host = ''
      const server = createServer((request, response) => {
        const { status = 200, headers = {}, body = '' } = answer(request.url ?? '', host)
        response.writeHead(status, headers)
        response.end(typeof body === 'string' ? body : JSON.stringify(body))
      })
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
      const address = server.address()
      host = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
      const issuers = parseOidcSettings(JSON.stringify(settings(host)), 'test')
      const verifier = new OidcVerifier(issuers, () => new Date())
      const token = await issuer.forge(claims({ iss: host, iat: Math.floor(Date.now() / 1_000) }))
      const result = await verifier.verify(token)
      assert.equal(result.ok, false)
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    })
  }
})

test('settings that would believe too much are refused', () => {
  const bad: readonly [issuer: string, more: object, why: RegExp][] = [
    ['http://idp.example', {}, /must be https/],
    ['https://user:pw@idp.example', {}, /must be https/],
    ['https://idp.example', { algorithms: ['HS256'] }, /algorithms/],
    ['https://idp.example', { algorithms: ['none'] }, /algorithms/],
    ['https://idp.example', { audience: undefined }, /audience/],
    [
      'https://idp.example',
      { rules: [{ claim: 'a', value: 'b', role: 'site-operator' }] },
      /sites/,
    ],
    ['https://idp.example', { rules: [{ claim: 'a', value: 'b', role: 'root' }] }, /role/],
    ['https://idp.example', { audiences: ['x'] }, /audiences/],
  ]
  for (const [url, more, why] of bad)
    assert.throws(() => parseOidcSettings(JSON.stringify(settings(url, more)), 'oidc.json'), why)
})

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

async function publicJwk() {
  const { d: _, ...jwk } = issuer.key().jwk
  assert.ok(await calculateJwkThumbprint(jwk))
  return jwk
}

function hs256(secret: string): Promise<string> {
  return new SignJWT(claims())
    .setProtectedHeader({ alg: 'HS256', kid: issuer.key().kid })
    .sign(new TextEncoder().encode(secret.padEnd(32)))
}
