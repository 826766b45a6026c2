import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import * as z from 'zod'
import { twoSites } from './fleets.ts'
import { startTestApi, type TestApi } from './harness.ts'

const RUNS = 1_500

const documentSchema = z.object({
  openapi: z.literal('3.1.0'),
  paths: z.record(
    z.string(),
    z.record(
      z.enum(['get', 'put', 'post', 'patch', 'delete']),
      z
        .looseObject({
          parameters: z.array(z.looseObject({ name: z.string(), in: z.string() })).optional(),
          requestBody: z.looseObject({}).optional(),
          responses: z.record(z.string(), z.unknown()),
        })
        .optional(),
    ),
  ),
})

let api: TestApi
let operations: Operation[] = []
type Operation = {
  path: string
  method: string
  query: string[]
  hasBody: boolean
  statuses: Set<string>
}

before(async () => {
  api = await startTestApi()
  assert.equal((await api.call('PUT', '/v1/fleet', twoSites())).status, 200)
  const document = documentSchema.parse(await (await fetch(`${api.url}/openapi.json`)).json())
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) =>
      operation === undefined
        ? []
        : [
            {
              path,
              method: method.toUpperCase(),
              query: (operation.parameters ?? [])
                .filter((one) => one.in === 'query')
                .map((one) => one.name),
              hasBody: operation.requestBody !== undefined,
              statuses: new Set(Object.keys(operation.responses)),
            },
          ],
    ),
  )
})
after(() => api.close())

const NAMES = [
  'web',
  'db',
  'site-a',
  'dir-a',
  'rs-a1',
  'director',
  'real-server',
  'none',
  '000000000000',
  '1',
  '0',
  '-1',
  '..',
  '%00',
  'A',
  'x'.repeat(64),
]
const VALUES = [
  'true',
  'false',
  '1',
  '0',
  '-1',
  '1000',
  '1e9',
  '9007199254740993',
  '',
  'x',
  'a=b',
  'web',
  'dir',
  '1.1',
  'Zm9v',
  '\u0000',
  'é',
]
const HEADERS = ['"1"', 'W/"1"', '*', '"1", "2"', '', 'x']

/** Bodies that are nearly right go deepest. */
const nearlyRight = fc.constantFrom<unknown>(
  { site: 'site-a', addresses: ['10.1.0.66'] },
  { members: [{ realServer: 'rs-a1', weight: 3 }] },
  { vips: ['10.1.0.101'], ports: [81], pool: 'web', carriedBy: { sites: ['site-a'] } },
  { networks: [{ name: 'lan', cidrs: ['10.7.0.0/24'] }] },
  { role: 'director', site: 'site-a' },
  { name: 'key', role: 'viewer' },
  {
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: 'a.b.c',
  },
  twoSites(),
)
const withNul = { site: 'site-a', addresses: ['10.1.0.66'], labels: { rack: 'a\0b' } }
const spoilt = fc
  .tuple(nearlyRight, fc.string(), fc.jsonValue({ maxDepth: 3 }))
  .map(([base, key, value]) => ({ ...Object(base), [key]: value }))
const bodies = fc.oneof(
  nearlyRight.map((value) => JSON.stringify(value)),
  fc.constant(JSON.stringify(withNul)),
  spoilt.map((value) => JSON.stringify(value)),
  fc.json(),
  fc.string(),
)
const requests = fc.record({
  pick: fc.nat(),
  names: fc.array(
    fc.oneof(
      fc.constantFrom(...NAMES),
      fc.string({ minLength: 1, maxLength: 20 }).map(encodeURIComponent),
    ),
    { minLength: 2, maxLength: 2 },
  ),
  query: fc.array(fc.tuple(fc.nat(), fc.constantFrom(...VALUES)), { maxLength: 3 }),
  body: bodies,
  type: fc.constantFrom(
    'application/json',
    'application/json',
    'application/json',
    'application/merge-patch+json',
    'text/plain',
    '',
  ),
  ifMatch: fc.option(fc.constantFrom(...HEADERS), { nil: undefined }),
  ifNoneMatch: fc.option(fc.constantFrom(...HEADERS), { nil: undefined }),
  credential: fc.constantFrom('admin', 'admin', 'admin', 'admin', 'none', 'wrong'),
})

test('every route has a contract that says how it can fail', () => {
  assert.ok(operations.length > 40, `${operations.length} operations`)
  for (const { path, method, statuses, hasBody } of operations) {
    if (!path.startsWith('/v1/')) continue
    for (const status of ['401', '503', ...(hasBody ? ['413', '415', '422'] : [])]) {
      assert.ok(statuses.has(status), `${method} ${path} lacks ${status}`)
    }
  }
})

test('whatever is asked, the answer is a documented one and never a mistake of the server', async (t) => {
  const seen = new Map<number, number>()
  await fc.assert(
    fc.asyncProperty(requests, async (request) => {
      const operation = operations[request.pick % operations.length]
      assert.ok(operation)
      const names = [...request.names]
      const path = operation.path.replaceAll(/\{\w+\}/g, () => names.shift() ?? 'web')
      const query = new URLSearchParams()
      for (const [n, value] of request.query) {
        const name = operation.query[n % Math.max(1, operation.query.length)]
        // A poll that is held open for long would only slow the walk.
        if (name !== undefined && name !== 'wait') query.append(name, value)
      }
      const headers = new Headers()
      if (request.credential === 'admin') headers.set('authorization', `Bearer ${api.adminKey}`)
      if (request.credential === 'wrong') headers.set('authorization', 'Bearer lvsk_wrong')
      if (request.ifMatch !== undefined) headers.set('if-match', request.ifMatch)
      if (request.ifNoneMatch !== undefined) headers.set('if-none-match', request.ifNoneMatch)
      if (operation.hasBody && request.type !== '') headers.set('content-type', request.type)
      const answer = await api.app.request(`${path}?${query.toString()}`, {
        method: operation.method,
        headers,
        ...(operation.hasBody ? { body: request.body } : {}),
      })
      const isStream = answer.headers.get('content-type')?.startsWith('text/event-stream') === true
      // A stream has no end of its own.
      if (isStream) await answer.body?.cancel()
      const text = isStream ? '' : await answer.text()
      seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1)
      const what = `${operation.method} ${path}?${query.toString()} ${request.body.slice(0, 200)} -> ${answer.status} ${text.slice(0, 300)}`
      assert.ok(answer.status < 500, what)
      assert.ok(
        operation.statuses.has(String(answer.status)) || isAnotherRoute(path, operation),
        what,
      )
      if (answer.status >= 400)
        assert.match(answer.headers.get('content-type') ?? '', /problem\+json/, what)
    }),
    { numRuns: RUNS },
  )
  t.diagnostic(
    `${RUNS} requests, statuses ${JSON.stringify([...seen].toSorted((a, b) => a[0] - b[0]))}`,
  )
})

/** A name of dots or slashes makes another path of it, which answers for itself. */
function isAnotherRoute(path: string, operation: Operation): boolean {
  const parts = new URL(path, 'http://x').pathname.split('/').slice(1)
  return parts.includes('') || parts.length !== operation.path.split('/').length - 1
}
