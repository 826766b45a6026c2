import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { twoSites } from './fleets.ts'
import { makeCall, startTestApi, type TestApi } from './harness.ts'

let api: TestApi
before(async () => {
  api = await startTestApi()
  const applied = await api.call('PUT', '/v1/fleet', twoSites())
  assert.equal(applied.status, 200, applied.text)
})
after(() => api.close())

const revision = async () => (await api.call('GET', '/v1/controller')).body.revision

describe('one object', () => {
  test('is created, read, replaced, merged and removed, with its version as ETag', async () => {
    const path = '/v1/real-servers/rs-a9'
    const created = await api.call('PUT', path, { site: 'site-a', addresses: ['10.1.0.29'] })
    assert.equal(created.status, 201, created.text)
    assert.equal(created.headers.get('etag'), '"1"')
    assert.equal(created.body.version, 1)
    assert.equal(created.body.state, 'active')
    const read = await api.call('GET', path)
    assert.deepEqual(read.body, created.body)
    assert.equal(read.headers.get('etag'), '"1"')
    const replaced = await api.call(
      'PUT',
      path,
      { site: 'site-a', addresses: ['10.1.0.29'], state: 'drain' },
      { 'if-match': '"1"' },
    )
    assert.equal(replaced.status, 200, replaced.text)
    assert.equal(replaced.body.version, 2)
    assert.equal(replaced.body.id, created.body.id)
    const merged = await api.call(
      'PATCH',
      path,
      { state: null, labels: { rack: '7' } },
      { 'if-match': '"2"' },
    )
    assert.equal(merged.status, 200, merged.text)
    assert.deepEqual([merged.body.state, merged.body.labels], ['active', { rack: '7' }])
    const removed = await api.call('DELETE', path, undefined, { 'if-match': '"3"' })
    assert.equal(removed.status, 200, removed.text)
    assert.equal((await api.call('GET', path)).status, 404)
  })

  test('can be put back as it was read, guarded by its version', async () => {
    const path = '/v1/pools/db'
    const read = await api.call('GET', path)
    const edited = { ...read.body, labels: { tier: 'data' } }
    assert.equal((await api.call('PUT', path, edited)).status, 200)
    const again = await api.call('PUT', path, { ...edited, labels: {} })
    assert.equal(again.status, 412, again.text)
    assert.equal(again.body.code, 'stale-version')
  })

  const body = { site: 'site-a', addresses: ['10.1.0.21'] }
  const rows: {
    name: string
    method: string
    path: string
    body?: unknown
    headers?: Record<string, string>
    status: number
    code: string
    pointer?: string
    message?: string
    /** Of all that is told. */
    count?: number
  }[] = [
    {
      name: 'replace without saying what',
      method: 'PUT',
      path: '/v1/real-servers/rs-a1',
      body,
      status: 428,
      code: 'precondition-required',
    },
    {
      name: 'stale If-Match',
      method: 'PUT',
      path: '/v1/real-servers/rs-a1',
      body,
      headers: { 'if-match': '"99"' },
      status: 412,
      code: 'stale-version',
    },
    {
      name: 'create only, but there',
      method: 'PUT',
      path: '/v1/real-servers/rs-a1',
      body,
      headers: { 'if-none-match': '*' },
      status: 412,
      code: 'stale-version',
    },
    {
      name: 'If-Match on nothing',
      method: 'PUT',
      path: '/v1/real-servers/none',
      body,
      headers: { 'if-match': '"1"' },
      status: 412,
      code: 'stale-version',
    },
    {
      name: 'stale delete',
      method: 'DELETE',
      path: '/v1/virtual-services/db',
      headers: { 'if-match': '"99"' },
      status: 412,
      code: 'stale-version',
    },
    {
      name: 'delete of nothing',
      method: 'DELETE',
      path: '/v1/pools/none',
      status: 404,
      code: 'not-found',
    },
    {
      name: 'delete of what is needed',
      method: 'DELETE',
      path: '/v1/pools/web',
      status: 409,
      code: 'referenced',
      pointer: '/virtualServices/web/pool',
    },
    {
      name: 'patch of nothing',
      method: 'PATCH',
      path: '/v1/pools/none',
      body: {},
      status: 404,
      code: 'not-found',
    },
    {
      name: 'patch without saying of what',
      method: 'PATCH',
      path: '/v1/pools/web',
      body: { labels: {} },
      status: 428,
      code: 'precondition-required',
    },
    {
      name: 'patch to nonsense',
      method: 'PATCH',
      path: '/v1/pools/web?force=true',
      body: { members: 7 },
      status: 422,
      code: 'invalid-body',
      pointer: '/members',
    },
    {
      name: 'unknown field',
      method: 'PUT',
      path: '/v1/real-servers/rs-x',
      body: { ...body, colour: 'red' },
      status: 422,
      code: 'invalid-body',
      pointer: '/colour',
      message: 'is no known field',
    },
    {
      name: 'unknown field in depth',
      method: 'PUT',
      path: '/v1/sites/site-x',
      body: { networks: [{ name: 'n', cidrs: ['10.9.0.0/24'], vlan: 3 }] },
      status: 422,
      code: 'invalid-body',
      pointer: '/networks/0/vlan',
    },
    {
      name: 'misspelt field that may be left out',
      method: 'PUT',
      path: '/v1/pools/pool-x',
      body: { members: [{ realServer: 'rs-a1', wieght: 5 }] },
      status: 422,
      code: 'invalid-body',
      pointer: '/members/0/wieght',
      message: 'is no known field: did you mean weight?',
    },
    {
      name: 'misspelt field that is needed, which is told once',
      method: 'PUT',
      path: '/v1/real-servers/rs-x',
      body: { site: 'site-a', Adresses: ['10.1.0.99'] },
      status: 422,
      code: 'invalid-body',
      pointer: '/Adresses',
      message: 'is no known field: did you mean addresses?',
      count: 1,
    },
    {
      name: 'field whose name is longer than any',
      method: 'PUT',
      path: '/v1/pools/pool-x',
      body: { members: [], [`label${'s'.repeat(100_000)}`]: {} },
      status: 422,
      code: 'invalid-body',
      pointer: `/label${'s'.repeat(100_000)}`,
      message: 'is no known field',
    },
    {
      name: 'field in another writing',
      method: 'PUT',
      path: '/v1/virtual-services/web2',
      body: { vips: ['10.1.0.101'], ports: [80], pool: 'web', carried_by: { sites: ['site-a'] } },
      status: 422,
      code: 'invalid-body',
      pointer: '/carried_by',
      message: 'is no known field: did you mean carriedBy?',
    },
    {
      name: 'missing field',
      method: 'PUT',
      path: '/v1/real-servers/rs-x',
      body: { site: 'site-a' },
      status: 422,
      code: 'invalid-body',
      pointer: '/addresses',
      message: 'is missing: an array belongs here',
    },
    {
      name: 'another name than the path',
      method: 'PUT',
      path: '/v1/real-servers/rs-x',
      body: { ...body, name: 'rs-y' },
      status: 422,
      code: 'invalid-body',
      pointer: '/name',
    },
    {
      name: 'a name that is none',
      method: 'PUT',
      path: '/v1/real-servers/Bad_Name',
      body,
      status: 422,
      code: 'invalid-body',
      pointer: '/name',
    },
    {
      name: 'a reference to nothing',
      method: 'PUT',
      path: '/v1/real-servers/rs-x',
      body: { ...body, addresses: ['10.1.0.99'], site: 'nowhere' },
      status: 422,
      code: 'invalid-intent',
      pointer: '/site',
    },
    {
      name: 'a VIP that is taken',
      method: 'PUT',
      path: '/v1/virtual-services/web2',
      body: { vips: ['10.1.0.100'], ports: [80], pool: 'web', carriedBy: { sites: ['site-a'] } },
      status: 422,
      code: 'invalid-intent',
    },
    {
      name: 'a misspelt parameter',
      method: 'DELETE',
      path: '/v1/virtual-services/db?dryrun=true',
      status: 400,
      code: 'invalid-parameter',
    },
    {
      name: 'not JSON',
      method: 'PUT',
      path: '/v1/pools/x',
      body: '{"members": [',
      status: 400,
      code: 'malformed-json',
    },
    {
      name: 'another media type',
      method: 'PUT',
      path: '/v1/pools/x',
      body: '{}',
      headers: { 'content-type': 'text/plain' },
      status: 415,
      code: 'unsupported-media-type',
    },
    {
      name: 'a compressed body',
      method: 'PUT',
      path: '/v1/pools/x',
      body: 'x',
      headers: { 'content-encoding': 'gzip' },
      status: 415,
      code: 'unsupported-media-type',
    },
    {
      name: 'deep JSON',
      method: 'PUT',
      path: '/v1/pools/x',
      body: `{"labels":${'['.repeat(50_000)}${']'.repeat(50_000)}}`,
      status: 400,
      code: 'too-deep',
    },
    {
      name: 'a large body',
      method: 'PUT',
      path: '/v1/pools/x',
      body: `{"labels":{"a":"${'x'.repeat(1_100_000)}"}}`,
      status: 413,
      code: 'body-too-large',
    },
    {
      name: 'a fleet of five megabytes',
      method: 'PUT',
      path: '/v1/fleet',
      body: `{"sites":{"a":"${'x'.repeat(5_000_000)}"}}`,
      status: 413,
      code: 'body-too-large',
    },
    {
      name: 'an array',
      method: 'PUT',
      path: '/v1/pools/x',
      body: [],
      status: 422,
      code: 'invalid-body',
    },
    {
      name: 'another method',
      method: 'POST',
      path: '/v1/pools/web',
      body: {},
      status: 405,
      code: 'method-not-allowed',
    },
    { name: 'another path', method: 'GET', path: '/v1/nodes', status: 404, code: 'not-found' },
    {
      name: 'a large removal',
      method: 'DELETE',
      path: '/v1/virtual-services/db',
      status: 409,
      code: 'shrink-held',
    },
  ]
  for (const row of rows) {
    test(`${row.name} is refused with ${row.status} ${row.code} and changes nothing`, async () => {
      const before = await revision()
      const answer = await api.call(row.method, row.path, row.body, row.headers)
      assert.equal(answer.status, row.status, answer.text)
      assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/)
      assert.equal(answer.body.code, row.code)
      assert.equal(answer.body.status, row.status)
      assert.ok(answer.body.requestId)
      if (row.pointer !== undefined) {
        const found = answer.body.errors.find(
          (error: { pointer: string }) => error.pointer === row.pointer,
        )
        assert.ok(found !== undefined, answer.text)
        if (row.message !== undefined) assert.equal(found.message, row.message)
      }
      if (row.count !== undefined) assert.equal(answer.body.errors.length, row.count, answer.text)
      assert.equal(await revision(), before)
    })
  }

  test('405 says what is allowed', async () => {
    const answer = await api.call('POST', '/v1/pools/web', {})
    assert.equal(answer.headers.get('allow'), 'DELETE, GET, PATCH, PUT')
  })

  test('two writers with one version: one wins', async () => {
    const version = (await api.call('GET', '/v1/pools/web')).headers.get('etag') ?? ''
    const answers = await Promise.all(
      [1, 2, 3, 4].map((n) =>
        api.call('PATCH', '/v1/pools/web', { labels: { n: String(n) } }, { 'if-match': version }),
      ),
    )
    assert.deepEqual(
      answers.map((answer) => answer.status).toSorted((a, b) => a - b),
      [200, 412, 412, 412],
    )
  })
})

describe('lists', () => {
  test('go by pages, without repeating or losing a name', async () => {
    const names: string[] = []
    for (let cursor = ''; ;) {
      const page = await api.call('GET', `/v1/real-servers?limit=2${cursor}`)
      assert.equal(page.status, 200, page.text)
      names.push(...page.body.items.map((item: { name: string }) => item.name))
      if (page.body.nextCursor === null) break
      cursor = `&cursor=${page.body.nextCursor}`
    }
    assert.deepEqual(names, ['rs-a1', 'rs-a2', 'rs-b1'])
  })

  test('are filtered by name prefix, site and label', async () => {
    await api.call('PATCH', '/v1/real-servers/rs-a2?force=true', {
      labels: { rack: '7', tier: 'web' },
    })
    const names = async (query: string) =>
      (await api.call('GET', `/v1/${query}`)).body.items.map((item: { name: string }) => item.name)
    assert.deepEqual(await names('real-servers?name=rs-a'), ['rs-a1', 'rs-a2'])
    assert.deepEqual(await names('real-servers?site=site-b'), ['rs-b1'])
    assert.deepEqual(await names('real-servers?label=rack%3D7&label=tier%3Dweb'), ['rs-a2'])
    assert.deepEqual(await names('real-servers?label=rack%3D8'), [])
    assert.deepEqual(await names('virtual-services?site=site-a'), ['web'])
  })

  for (const query of ['limit=0', 'limit=1001', 'limit=x', 'label=none', 'colour=red']) {
    test(`refuse ?${query}`, async () => {
      assert.equal((await api.call('GET', `/v1/pools?${query}`)).status, 400)
    })
  }
})

describe('dry run', () => {
  test('tells every touched host its ops and writes nothing', async () => {
    const before = await revision()
    const fleetBefore = (await api.call('GET', '/v1/fleet')).text
    const answer = await api.call('DELETE', '/v1/virtual-services/db?dryRun=true')
    assert.equal(answer.status, 200, answer.text)
    assert.equal(answer.body.dryRun, true)
    assert.equal(answer.body.revision, before)
    assert.deepEqual(answer.body.changes, [
      { change: 'deleted', kind: 'virtual-service', name: 'db' },
    ])
    const director = answer.body.hosts.find(
      (host: { host: string }) => host.host === 'director/dir-b',
    )
    assert.ok(director.ops.includes('- service tcp/10.2.0.100:5432'), answer.text)
    assert.equal(director.shrink.held, true)
    assert.equal(await revision(), before)
    assert.equal((await api.call('GET', '/v1/fleet')).text, fleetBefore)
    const rows = await api.deps.database.pool.query('select count(*)::int as n from revisions')
    assert.equal(rows.rows[0].n, before)
  })

  test('of one object needs no version', async () => {
    const answer = await api.call('PUT', '/v1/pools/web?dryRun=true', {
      members: [{ realServer: 'rs-a1', weight: 5 }],
    })
    assert.equal(answer.status, 200, answer.text)
    assert.equal(answer.body.dryRun, true)
  })
})

describe('the fleet', () => {
  test('applied twice makes one revision', async () => {
    const document = (await api.call('GET', '/v1/fleet')).body
    document.pools.web.labels = { round: 'twice' }
    const first = await api.call('PUT', '/v1/fleet', document)
    const second = await api.call('PUT', '/v1/fleet', document)
    assert.deepEqual([first.status, second.status], [200, 200])
    assert.equal(second.body.revision, first.body.revision)
    assert.deepEqual([second.body.changes, second.body.hosts], [[], []])
  })

  test('touches only the hosts whose state changes', async () => {
    const generations = async () =>
      new Map<string, number>(
        (await api.call('GET', '/v1/hosts')).body.items.map(
          (host: { role: string; name: string; published: { generation: number } }) => [
            `${host.role}/${host.name}`,
            host.published.generation,
          ],
        ),
      )
    const before = await generations()
    const answer = await api.call('PATCH', '/v1/pools/db?force=true', {
      members: [{ realServer: 'rs-b1', weight: 7 }],
    })
    assert.equal(answer.status, 200, answer.text)
    const after = await generations()
    const touched = [...after].filter(([key, generation]) => before.get(key) !== generation)
    assert.deepEqual(touched, [['director/dir-b', (before.get('director/dir-b') ?? 0) + 1]])
  })

  test('is read as it was at any revision, and revisions tell what they changed', async () => {
    const old = (await api.call('GET', '/v1/fleet')).body
    const then = await revision()
    await api.call('PATCH', '/v1/virtual-services/web?force=true', { owner: 'team-x' })
    const now = await revision()
    assert.equal(now, then + 1)
    assert.deepEqual((await api.call('GET', `/v1/fleet?revision=${then}`)).body, old)
    assert.equal(
      (await api.call('GET', `/v1/fleet?revision=${now}`)).body.virtualServices.web.owner,
      'team-x',
    )
    assert.equal((await api.call('GET', `/v1/fleet?revision=${now + 1}`)).status, 404)
    const told = await api.call('GET', `/v1/revisions/${now}`)
    assert.equal(told.body.action, 'virtual-service.patch')
    assert.equal(told.body.actor, 'api-key/first')
    assert.equal(told.body.changes[0].before.owner, null)
    assert.equal(told.body.changes[0].after.owner, 'team-x')
    const list = await api.call('GET', '/v1/revisions?limit=2')
    assert.deepEqual(
      list.body.items.map((item: { number: number }) => item.number),
      [now, now - 1],
    )
    assert.equal((await api.call('GET', '/v1/revisions/999999')).status, 404)
  })

  test('with If-Match on its revision refuses a stale apply', async () => {
    const read = await api.call('GET', '/v1/fleet')
    const etag = read.headers.get('etag') ?? ''
    read.body.pools.web.labels = { by: 'first' }
    assert.equal((await api.call('PUT', '/v1/fleet', read.body, { 'if-match': etag })).status, 200)
    read.body.pools.web.labels = { by: 'second' }
    assert.equal((await api.call('PUT', '/v1/fleet', read.body, { 'if-match': etag })).status, 412)
  })

  test('a held removal is allowed for exactly the generation that carries it', async () => {
    const fleet = (await api.call('GET', '/v1/fleet')).body
    const { db, ...rest } = fleet.virtualServices
    assert.ok(db)
    const held = await api.call('PUT', '/v1/fleet', { ...fleet, virtualServices: rest })
    assert.equal(held.status, 409)
    assert.match(held.body.detail, /1 of 1 virtual services would go.*allowShrink=true/s)
    const allowed = await api.call('PUT', '/v1/fleet?allowShrink=true', {
      ...fleet,
      virtualServices: rest,
    })
    assert.equal(allowed.status, 200, allowed.text)
    const rows = await api.deps.database.pool.query(
      "select generation, shrink_allowed_generation as allowed from host_states where name = 'dir-b'",
    )
    assert.equal(rows.rows[0].allowed, rows.rows[0].generation)
    assert.equal((await api.call('PUT', '/v1/fleet', fleet)).status, 200)
    const after = await api.deps.database.pool.query(
      "select generation, shrink_allowed_generation as allowed from host_states where name = 'dir-b'",
    )
    assert.equal(after.rows[0].generation, rows.rows[0].generation + 1)
    assert.equal(after.rows[0].allowed, rows.rows[0].allowed)
  })

  test('problems point to the object and the field', async () => {
    const fleet = (await api.call('GET', '/v1/fleet')).body
    fleet.virtualServices.web.vips = ['10.1.0.300']
    fleet.pools.db.typo = 1
    const answer = await api.call('PUT', '/v1/fleet', fleet)
    assert.equal(answer.status, 422)
    const pointers = answer.body.errors.map((error: { pointer: string }) => error.pointer)
    assert.deepEqual(pointers.toSorted(), ['/pools/db/typo', '/virtualServices/web/vips/0'])
  })
})

describe('a host', () => {
  test('is shown as state, signed document and script', async () => {
    const state = await api.call('GET', '/v1/hosts/director/dir-a/state')
    assert.equal(state.status, 200)
    assert.equal(state.body.services[0].name, 'web')
    const document = await api.call('GET', '/v1/hosts/director/dir-a/document')
    assert.equal(document.headers.get('content-type'), 'application/vnd.lvsfleet.state')
    assert.match(document.text, /^[\w-]+\.[\w-]+\.[\w-]+\n\[.*\]\n\{/)
    const script = await api.call('GET', '/v1/hosts/director/dir-a/script')
    assert.match(script.text, /^#!\/bin\/sh/)
    const cloud = await api.call('GET', '/v1/hosts/director/dir-a/script?format=cloud-init')
    assert.match(cloud.headers.get('content-type') ?? '', /^text\/cloud-config/)
    const networkd = await api.call('GET', '/v1/hosts/director/dir-a/script?format=networkd')
    assert.equal(networkd.status, 409)
    assert.match(networkd.body.detail, /needs the name of the interface/)
    const unknown = await api.call('GET', '/v1/hosts/director/dir-a/script?format=ansible')
    assert.equal(unknown.status, 400)
    assert.equal((await api.call('GET', '/v1/hosts/director/none/state')).status, 404)
  })

  test('that left the intent is gone, and its generation never goes back', async () => {
    const body = { site: 'site-b', addresses: ['10.2.0.40'] }
    const path = '/v1/real-servers/rs-gone'
    assert.equal((await api.call('PUT', path, body)).status, 201)
    const before = (await api.call('GET', '/v1/hosts/real-server/rs-gone')).body
    assert.equal((await api.call('DELETE', path)).status, 200)
    assert.equal((await api.call('GET', '/v1/hosts/real-server/rs-gone')).status, 404)
    assert.equal((await api.call('PUT', path, body)).status, 201)
    const after = (await api.call('GET', '/v1/hosts/real-server/rs-gone')).body
    assert.equal(after.published.generation, before.published.generation + 1)
    assert.notEqual(after.id, before.id)
  })

  test('explains how each director reaches each real server', async () => {
    const answer = await api.call('GET', '/v1/virtual-services/web/explain')
    assert.equal(answer.status, 200)
    const byServer = Object.fromEntries(
      answer.body.choices.map((choice: { realServer: string; forwarding: string }) => [
        choice.realServer,
        choice.forwarding,
      ]),
    )
    assert.deepEqual(byServer, { 'rs-a1': 'dr', 'rs-a2': 'dr', 'rs-b1': 'tun ipip' })
    assert.equal((await api.call('GET', '/v1/virtual-services/none/explain')).status, 404)
  })
})

describe('credentials', () => {
  test('none, a wrong one and a revoked one are refused', async () => {
    for (const key of [
      '',
      'x',
      'lvsk_000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
      `${api.adminKey.slice(0, -1)}!`,
    ]) {
      const answer = await makeCall(api.url, key)('GET', '/v1/fleet')
      assert.equal(answer.status, 401)
      assert.equal(answer.body.code, 'unauthenticated')
      assert.ok(answer.headers.get('www-authenticate'))
    }
    const made = await api.call('POST', '/v1/api-keys', { name: 'short', role: 'operator' })
    assert.equal(made.status, 201, made.text)
    const short = makeCall(api.url, made.body.key)
    assert.equal((await short('GET', '/v1/fleet')).status, 200)
    assert.equal((await api.call('DELETE', `/v1/api-keys/${made.body.id}`)).status, 200)
    assert.equal((await short('GET', '/v1/fleet')).status, 401)
  })

  test('a viewer reads, an operator changes intent, only an admin sees keys of admins', async () => {
    const key = async (role: string) =>
      makeCall(api.url, (await api.call('POST', '/v1/api-keys', { name: role, role })).body.key)
    const viewer = await key('viewer')
    const operator = await key('operator')
    const patch = (call: typeof viewer) => call('PATCH', '/v1/pools/web?force=true', { labels: {} })
    assert.equal((await viewer('GET', '/v1/fleet')).status, 200)
    assert.equal((await patch(viewer)).status, 403)
    assert.equal((await patch(operator)).status, 200)
    assert.equal((await viewer('GET', '/v1/api-keys')).status, 403)
    const rolesSeen = async (call: typeof viewer) =>
      new Set(
        (await call('GET', '/v1/api-keys')).body.items.map((key: { role: string }) => key.role),
      )
    assert.deepEqual(await rolesSeen(operator), new Set(['operator', 'viewer']))
    assert.deepEqual(await rolesSeen(api.call), new Set(['admin', 'operator', 'viewer']))
  })

  test('the last admin key cannot be revoked', async () => {
    const keys = (await api.call('GET', '/v1/api-keys')).body.items
    const first = keys.find((key: { name: string }) => key.name === 'first')
    assert.equal((await api.call('DELETE', `/v1/api-keys/${first.id}`)).status, 409)
    assert.equal((await api.call('GET', '/v1/fleet')).status, 200)
  })

  test('no answer and no table holds a secret in the clear', async () => {
    const made = await api.call('POST', '/v1/api-keys', { name: 'leak', role: 'viewer' })
    const secret: string = made.body.key.slice(-43)
    const { rows } = await api.deps.database.pool.query('select * from api_keys')
    const audit = await api.deps.database.pool.query('select * from audit_events')
    const told = (await api.call('GET', '/v1/api-keys')).text
    assert.ok(!JSON.stringify([rows, audit.rows, told]).includes(secret))
    assert.ok(!told.includes('sha256'))
  })
})

test('the audit trail tells what was done, and cannot be changed', async () => {
  const events = await api.call('GET', '/v1/audit-events?limit=1000')
  const actions = new Set(events.body.items.map((event: { action: string }) => event.action))
  for (const action of ['fleet.put', 'pool.patch', 'api-key.create', 'api-key.revoke'])
    assert.ok(actions.has(action), action)
  for (const sql of [
    'update audit_events set actor = $$x$$',
    'delete from audit_events',
    'truncate audit_events',
  ]) {
    await assert.rejects(api.deps.database.pool.query(sql), /append-only/)
  }
})

test('answers carry safe headers and the caller’s request id', async () => {
  const answer = await api.call('GET', '/v1/fleet', undefined, { 'x-request-id': 'trace-1' })
  assert.equal(answer.headers.get('x-request-id'), 'trace-1')
  assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
  assert.equal(answer.headers.get('cache-control'), 'no-store')
  assert.equal((await fetch(`${api.url}/healthz`)).status, 200)
  assert.equal((await fetch(`${api.url}/readyz`)).status, 200)
})
