/**
 * Every route × every role × an object of one's own site and one of another: who may, may, and who may not is refused and
 * changes nothing. The table of permissions is the expectation; that it lists every route, and no other, is a test too.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { OPERATOR_ROLES, type OperatorRole } from '../../services/api/src/access/grant.ts'
import {
  PERMISSIONS,
  permissionTable,
  type Access,
  type Permission,
} from '../../services/api/src/http/permissions.ts'
import { makeAgentClient } from '../fakes/agent-client.ts'
import { twoSites } from './fleets.ts'
import { makeCall, startTestApi, type JsonBody, type TestApi } from './harness.ts'
import { enrolled, everyRole, keyFor, type Call } from './operators.ts'
import { root } from './run-cli.ts'

type Where = 'own' | 'foreign'
type Asked = {
  readonly path: string
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

/** Site A has all of these by itself, and site B has its own. */
const OBJECTS: Record<string, Record<Where, string>> = {
  sites: { own: 'site-a', foreign: 'site-b' },
  directors: { own: 'dir-a', foreign: 'dir-b' },
  'real-servers': { own: 'rs-a1', foreign: 'rs-b1' },
  pools: { own: 'local', foreign: 'db' },
  'virtual-services': { own: 'local', foreign: 'db' },
  overrides: { own: 'on-a', foreign: 'on-b' },
  drains: { own: 'of-a', foreign: 'of-b' },
}
const SITE = { own: 'site-a', foreign: 'site-b' } as const
const SERVER = { own: 'rs-a1', foreign: 'rs-b1' } as const
const DIRECTOR = { own: 'dir-a', foreign: 'dir-b' } as const

function fleet(): JsonBody {
  const document = twoSites()
  document.pools.local = { members: [{ realServer: 'rs-a2' }] }
  document.virtualServices.local = {
    vips: ['10.1.0.101'],
    ports: [80],
    pool: 'local',
    carriedBy: { sites: ['site-a'] },
  }
  return document
}

let api: TestApi
let calls: Record<OperatorRole, Call>
let agentToken = ''

before(async () => {
  // A stream ends soon, or nobody could say that it was served.
  api = await startTestApi({ streamTimes: { heartbeatMs: 10, slowMs: 1_000, lifeMs: 50 } })
  assert.equal((await api.call('PUT', '/v1/fleet', fleet())).status, 200)
  for (const [name, realServer] of [
    ['on-a', 'rs-a1'],
    ['on-b', 'rs-b1'],
  ]) {
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString()
    const body = { realServer, kind: 'down', reason: 'x', expiresAt }
    assert.equal((await api.call('PUT', `/v1/overrides/${name}`, body)).status, 201)
  }
  for (const where of ['own', 'foreign'] as const) {
    const deadline = new Date(Date.now() + 3_600_000).toISOString()
    const body = { site: SITE[where], reason: 'x', deadline }
    assert.equal(
      (await api.call('PUT', `/v1/drains/${OBJECTS['drains']?.[where]}`, body)).status,
      201,
    )
  }
  calls = await everyRole(api)
  agentToken = (await enrolled(api, { role: 'real-server', name: 'rs-a2', site: 'site-a' }))
    .accessToken
})
after(() => api.close())

/** What to ask of a route so that only the permission decides; what it needs is made first. */
async function ask(permission: Permission, role: OperatorRole, where: Where): Promise<Asked> {
  const { method, path } = permission
  const kind = /^\/v1\/([a-z-]+)\/\{name\}$/.exec(path)?.[1] ?? ''
  const name = OBJECTS[kind]?.[where]
  if (name !== undefined && method !== 'GET') {
    const query = 'dryRun=true&allowShrink=true'
    if (method === 'DELETE') return { path: `/v1/${kind}/${name}?${query}` }
    const change =
      kind === 'overrides' || kind === 'drains'
        ? { reason: 'another' }
        : { labels: { asked: role } }
    const old = (await api.call('GET', `/v1/${kind}/${name}`)).body
    const body = method === 'PATCH' ? change : { ...old, ...change }
    return { path: `/v1/${kind}/${name}?${query}&force=true`, body }
  }
  switch (`${method} ${path}`) {
    case 'PUT /v1/fleet': {
      const document = (await api.call('GET', '/v1/fleet')).body
      document.realServers[where === 'own' ? 'rs-a1' : 'rs-b1'].labels = { asked: role }
      return { path: `${path}?dryRun=true`, body: document }
    }
    case 'POST /v1/hosts/{role}/{name}/revoke': {
      const director = { role: 'director', name: DIRECTOR[where], site: SITE[where] } as const
      await api.call('POST', `/v1/hosts/director/${director.name}/revoke`)
      await enrolled(api, director)
      return { path: `/v1/hosts/director/${director.name}/revoke` }
    }
    case 'POST /v1/hosts/{role}/{name}/release': {
      await quarantine(where)
      return { path: `/v1/hosts/director/${DIRECTOR[where]}/release` }
    }
    case 'POST /v1/webhooks':
      return { path, body: webhook() }
    case 'DELETE /v1/webhooks/{id}':
    case 'POST /v1/webhooks/{id}/pause':
    case 'POST /v1/webhooks/{id}/resume': {
      const made = await api.call('POST', '/v1/webhooks', webhook())
      assert.equal(made.status, 201, made.text)
      return { path: path.replace('{id}', made.body.id) }
    }
    case 'GET /v1/enrolment-rules/{name}':
    case 'PUT /v1/enrolment-rules/{name}':
    case 'DELETE /v1/enrolment-rules/{name}': {
      const body = ruleFor(where)
      assert.equal((await api.call('PUT', '/v1/enrolment-rules/edge', body)).status, 200)
      return { path: '/v1/enrolment-rules/edge', ...(method === 'PUT' ? { body } : {}) }
    }
    case 'POST /v1/pending-enrolments/{id}/approve':
    case 'POST /v1/pending-enrolments/{id}/refuse':
      return { path: path.replace('{id}', await waiting(where)) }
    case 'POST /v1/join-tokens':
      return { path, body: { role: 'director', site: SITE[where] } }
    case 'DELETE /v1/join-tokens/{id}': {
      const body = { role: 'director', site: SITE[where] }
      const made = await api.call('POST', '/v1/join-tokens', body)
      return { path: `/v1/join-tokens/${made.body.id}` }
    }
    case 'POST /v1/api-keys':
      return { path, body: { name: 'made', ...grantFor(where) } }
    case 'POST /v1/api-keys/{id}/rotate':
      return { path: `/v1/api-keys/${(await keyFor(api, grantFor(where))).id}/rotate`, body: {} }
    case 'DELETE /v1/api-keys/{id}':
      return { path: `/v1/api-keys/${(await keyFor(api, grantFor(where))).id}` }
    default: {
      const filled = path
        .replace('{number}', '1')
        .replace('{role}/{name}', `director/${DIRECTOR[where]}`)
        .replace('{name}', path.startsWith('/v1/drain-status/') ? 'of-a' : (name ?? 'web'))
        .replace('{step}', 'announce')
      const query =
        path === '/v1/explain' ? `?director=dir-a&vip=10.1.0.100&port=80&protocol=tcp` : ''
      return { path: filled + query }
    }
  }
}

let made = 0

function webhook() {
  made++
  return { name: `hook-${made}`, url: 'http://127.0.0.1:9/' }
}

function ruleFor(where: Where) {
  const arn = 'arn:aws:sts::123456789012:assumed-role/lvs/*'
  return { aws: { account: '123456789012', arn }, role: 'real-server', site: SITE[where] }
}

/** Id of a real server that a person must let in. */
async function waiting(where: Where): Promise<string> {
  const host = { role: 'real-server', name: SERVER[where] } as const
  const wanted = { ...host, site: SITE[where], approval: 'manual' }
  const token = (await api.call('POST', '/v1/join-tokens', wanted)).body.token
  await makeAgentClient(api.url)
    .join(token, host)
    .catch(() => undefined)
  const { items } = (await api.call('GET', '/v1/pending-enrolments')).body
  const found = items.findLast(
    (one: { name: string; state: string }) => one.name === host.name && one.state === 'waiting',
  )
  assert.ok(found, `${host.name} does not wait`)
  return found.id
}

/** As if two hosts had its key. */
async function quarantine(where: Where): Promise<void> {
  const director = { role: 'director', name: DIRECTOR[where], site: SITE[where] } as const
  await api.call('POST', `/v1/hosts/director/${director.name}/revoke`)
  await enrolled(api, director)
  await api.deps.database.pool.query(
    "update hosts set state = 'quarantined', quarantine = 'two hosts' where name = $1 and state = 'active'",
    [director.name],
  )
}

/** A grant that a site operator of site A, and every role above, covers; and one that only an admin does. */
function grantFor(where: Where) {
  return where === 'own'
    ? { role: 'site-operator' as const, sites: ['site-a'] }
    : { role: 'admin' as const }
}

function isList({ method, path }: Permission): boolean {
  return method === 'GET' && !path.includes('{')
}

/** What `own` means for what is another's: refused, or told as not there. */
function expected(
  access: Access,
  where: Where,
  permission: Permission,
): 'served' | 'forbidden' | 'hidden' {
  if (access === 'no') return 'forbidden'
  if (access === 'yes' || where === 'own' || isList(permission)) return 'served'
  return permission.path.includes('{id}') || /\/(revoke|release)$/.test(permission.path)
    ? 'hidden'
    : 'forbidden'
}

test('the table lists every route of the API, and no other', () => {
  const routes = api.app.openAPIRegistry.definitions.flatMap((definition) =>
    definition.type === 'route'
      ? [`${definition.route.method.toUpperCase()} ${definition.route.path}`]
      : [],
  )
  const listed = PERMISSIONS.map(({ method, path }) => `${method} ${path}`)
  assert.ok(routes.length > 50, `${routes.length} routes`)
  assert.deepEqual(listed.toSorted(), routes.toSorted())
})

test('a route that is in no table is refused, whoever asks', async () => {
  api.app.openAPIRegistry.registerPath({ method: 'get', path: '/v1/forgotten', responses: {} })
  const answer = await api.call('GET', '/v1/forgotten')
  assert.equal(answer.status, 403)
  assert.match(answer.body.detail, /in no table of permissions/)
})

describe('route × role × whose', () => {
  for (const permission of PERMISSIONS.filter(({ caller }) => caller === 'operator')) {
    const { method, path, access } = permission
    test(`${method} ${path}`, async () => {
      for (const role of OPERATOR_ROLES) {
        for (const where of ['own', 'foreign'] as const) {
          const asked = await ask(permission, role, where)
          const revision = api.deps.live.snapshot.revision
          const answer = await calls[role](method, asked.path, asked.body)
          const what = `${role} ${where}: ${method} ${asked.path} -> ${answer.status} ${answer.text.slice(0, 300)}`
          switch (expected(access[role], where, permission)) {
            case 'served':
              // 409: others refer to it, or nothing is rendered for a director; the permission was there.
              assert.ok(answer.status < 300 || answer.status === 409, what)
              break
            case 'forbidden':
              assert.equal(answer.status, 403, what)
              assert.equal(answer.body.code, 'forbidden', what)
              break
            case 'hidden':
              assert.equal(answer.status, 404, what)
              break
          }
          if (answer.status >= 400) assert.equal(api.deps.live.snapshot.revision, revision, what)
        }
      }
    })

    test(`${method} ${path} is closed to agents and to nobody`, async () => {
      const asked = await ask(permission, 'admin', 'own')
      for (const credential of ['', agentToken]) {
        const answer = await makeCall(api.url, credential)(method, asked.path, asked.body)
        assert.equal(answer.status, 401, `${method} ${asked.path} ${answer.text}`)
      }
    })
  }

  for (const { method, path } of PERMISSIONS.filter(({ caller }) => caller === 'agent')) {
    test(`${method} ${path} is closed to operators`, async () => {
      for (const role of OPERATOR_ROLES)
        assert.equal(
          (await calls[role](method, path, method === 'POST' ? {} : undefined)).status,
          401,
        )
    })
  }
})

describe('lists show no more than may be changed', () => {
  test('join tokens of other sites', async () => {
    for (const site of ['site-a', 'site-b'])
      await api.call('POST', '/v1/join-tokens', { role: 'director', site })
    const sitesSeen = async (role: OperatorRole) =>
      new Set(
        (await calls[role]('GET', '/v1/join-tokens')).body.items.map(
          (token: { site: string }) => token.site,
        ),
      )
    assert.deepEqual(await sitesSeen('enroller'), new Set(['site-a']))
    assert.deepEqual(await sitesSeen('site-operator'), new Set(['site-a']))
    assert.deepEqual(await sitesSeen('operator'), new Set(['site-a', 'site-b']))
  })

  test('API keys that allow more', async () => {
    const rolesSeen = async (role: OperatorRole) =>
      new Set(
        (await calls[role]('GET', '/v1/api-keys')).body.items.map(
          (key: { role: string }) => key.role,
        ),
      )
    assert.deepEqual(await rolesSeen('site-operator'), new Set(['site-operator', 'enroller']))
    assert.ok(!(await rolesSeen('operator')).has('admin'))
    assert.ok((await rolesSeen('admin')).has('admin'))
  })
})

describe('a site operator', () => {
  const put = (document: JsonBody, query = '') =>
    calls['site-operator']('PUT', `/v1/fleet${query}`, document)
  const current = async () => (await api.call('GET', '/v1/fleet')).body

  test('puts the whole fleet where only what is its own changes', async () => {
    const document = await current()
    document.realServers['rs-a1'].state = 'drain'
    const answer = await put(document)
    assert.equal(answer.status, 200, answer.text)
    assert.deepEqual(
      answer.body.changes.map(
        ({ kind, name }: { kind: string; name: string }) => `${kind}/${name}`,
      ),
      ['real-server/rs-a1'],
    )
  })

  test('is told every object of others that the fleet would change', async () => {
    const document = await current()
    document.realServers['rs-b1'].state = 'drain'
    delete document.virtualServices.db
    document.realServers['rs-a1'].state = 'active'
    const answer = await put(document)
    assert.equal(answer.status, 403)
    assert.deepEqual(
      answer.body.errors.map(({ object }: { object: string }) => object).toSorted(),
      ['real-server/rs-b1', 'virtual-service/db'],
    )
    assert.equal((await current()).realServers['rs-a1'].state, 'drain')
  })

  test('makes and removes objects of its own site', async () => {
    const call = calls['site-operator']
    const body = { site: 'site-a', addresses: ['10.1.0.77'] }
    assert.equal((await call('PUT', '/v1/real-servers/rs-new', body)).status, 201)
    const moved = await call('PATCH', '/v1/real-servers/rs-new?force=true', { site: 'site-b' })
    assert.equal(moved.status, 403)
    assert.equal((await call('DELETE', '/v1/real-servers/rs-new')).status, 200)
    const foreign = { site: 'site-b', addresses: ['10.2.0.77'] }
    assert.equal((await call('PUT', '/v1/real-servers/rs-new', foreign)).status, 403)
  })

  test('who is bound to a label changes what has it', async () => {
    const { call } = await keyFor(api, { role: 'site-operator', labels: { team: 'web' } })
    const patch = (name: string) => call('PATCH', `/v1/pools/${name}?force=true`, { members: [] })
    await api.call('PATCH', '/v1/pools/local?force=true', { labels: { team: 'web' } })
    const query = '?force=true&dryRun=true'
    assert.equal((await call('PATCH', `/v1/pools/local${query}`, { members: [] })).status, 200)
    assert.equal((await patch('db')).status, 403)
    assert.equal(
      (await call('POST', '/v1/join-tokens', { role: 'director', site: 'site-a' })).status,
      403,
    )
  })
})

test('docs/access.md shows this table', () => {
  const page = `${root}docs/access.md`
  const text = readFileSync(page, 'utf8')
  const marks = /(<!-- permissions -->\n\n)[\s\S]*?(\n\n<!-- end -->)/
  assert.match(text, marks)
  const fresh = text.replace(
    marks,
    (_, begin: string, end: string) => `${begin}${permissionTable()}${end}`,
  )
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(page, fresh)
  else assert.equal(text, fresh, 'run this test with UPDATE_DOCS=1')
})
