import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fleetFromDocument, fleetSchema, type Fleet } from '../intent/fleet.ts'
import { SPEC_SCHEMAS, type Kind } from '../intent/kinds.ts'
import { sitesOf, trespasses } from './belongs.ts'
import { covers, grantProblem, type Grant, type Scope } from './grant.ts'

const document = () => ({
  sites: { a: { labels: { team: 'web' } }, b: {} },
  directors: {
    'dir-a': { site: 'a', addresses: ['10.1.0.10'] },
    'dir-b': { site: 'b', addresses: ['10.2.0.10'] },
  },
  realServers: {
    'rs-a1': { site: 'a', addresses: ['10.1.0.21'], labels: { team: 'web' } },
    'rs-a2': { site: 'a', addresses: ['10.1.0.22'] },
    'rs-b1': { site: 'b', addresses: ['10.2.0.21'] },
  },
  pools: {
    own: { members: [{ realServer: 'rs-a1' }], labels: { team: 'web' } },
    shared: { members: [{ realServer: 'rs-a1' }, { realServer: 'rs-b1' }] },
    'used-elsewhere': { members: [{ realServer: 'rs-a2' }] },
    selected: { selector: { matchLabels: { app: 'db' } }, members: [{ realServer: 'rs-b1' }] },
    sorry: {
      members: [{ realServer: 'rs-a1' }],
      policy: { sorryServer: { realServer: 'rs-b1' } },
    },
    empty: {},
  },
  virtualServices: {
    own: { vips: ['10.1.0.100'], ports: [80], pool: 'own', carriedBy: { sites: ['a'] } },
    shared: { vips: ['10.1.0.101'], ports: [80], pool: 'shared', carriedBy: { sites: ['a'] } },
    elsewhere: {
      vips: ['10.2.0.100'],
      ports: [80],
      pool: 'used-elsewhere',
      carriedBy: { directors: ['dir-b'] },
    },
  },
})

function fleetOf(bend: (doc: ReturnType<typeof document>) => unknown = () => {}): Fleet {
  const doc = document()
  bend(doc)
  const overrides = ['rs-a1', 'rs-b1'].map((realServer) =>
    SPEC_SCHEMAS.override.parse({
      name: `on-${realServer}`,
      realServer,
      kind: 'down',
      reason: 'x',
      expiresAt: '2030-01-01T00:00:00Z',
    }),
  )
  const drains = [{ site: 'b' }, { director: 'dir-a' }, { realServer: 'rs-b1' }].map((target) =>
    SPEC_SCHEMAS.drain.parse({
      name: `of-${Object.values(target).join()}`,
      ...target,
      reason: 'x',
      deadline: '2030-01-01T00:00:00Z',
    }),
  )
  return fleetFromDocument(fleetSchema.parse(doc), { overrides, drains })
}

const BELONGS: readonly [kind: Kind, name: string, sites: readonly string[]][] = [
  ['site', 'a', ['a']],
  ['director', 'dir-b', ['b']],
  ['real-server', 'rs-a1', ['a']],
  ['pool', 'own', ['a']],
  ['pool', 'shared', ['a', 'b']],
  ['pool', 'used-elsewhere', ['a', 'b']],
  ['pool', 'selected', ['b']],
  ['pool', 'sorry', ['a', 'b']],
  ['pool', 'empty', []],
  ['virtual-service', 'own', ['a']],
  ['virtual-service', 'shared', ['a', 'b']],
  ['virtual-service', 'elsewhere', ['a', 'b']],
  ['drain', 'of-b', ['b']],
  ['drain', 'of-dir-a', ['a']],
  ['drain', 'of-rs-b1', ['b']],
  ['override', 'on-rs-a1', ['a']],
  ['override', 'on-rs-b1', ['b']],
]
for (const [kind, name, sites] of BELONGS) {
  test(`${kind} ${name} belongs to ${sites.join(' and ') || 'no site'}`, () => {
    assert.deepEqual(sitesOf(fleetOf(), kind, name), sites)
  })
}

const SITE_A: Scope = { sites: ['a'], labels: null }
const WEB: Scope = { sites: null, labels: { team: 'web' } }
const WEB_A: Scope = { sites: ['a'], labels: { team: 'web' } }

type Bend = (doc: ReturnType<typeof document>) => unknown
const CASES: readonly {
  what: string
  kind: Kind
  name: string
  bend: Bend
  scope: Scope
  refused: RegExp | null
}[] = [
  {
    what: 'drains a real server of its own',
    kind: 'real-server',
    name: 'rs-a2',
    bend: (doc) => Object.assign(doc.realServers['rs-a2'], { state: 'drain' }),
    scope: SITE_A,
    refused: null,
  },
  {
    what: 'drains one of another site',
    kind: 'real-server',
    name: 'rs-b1',
    bend: (doc) => Object.assign(doc.realServers['rs-b1'], { state: 'drain' }),
    scope: SITE_A,
    refused: /belongs to site b/,
  },
  {
    what: 'moves one away',
    kind: 'real-server',
    name: 'rs-a2',
    bend: (doc) => Object.assign(doc.realServers['rs-a2'], { site: 'b' }),
    scope: SITE_A,
    refused: /belongs to site b/,
  },
  {
    what: 'takes one of another site for its own',
    kind: 'real-server',
    name: 'rs-b1',
    bend: (doc) => Object.assign(doc.realServers['rs-b1'], { site: 'a' }),
    scope: SITE_A,
    refused: /belongs to site b/,
  },
  {
    what: 'has its own selected by a pool of another site',
    kind: 'real-server',
    name: 'rs-a2',
    bend: (doc) => Object.assign(doc.realServers['rs-a2'], { labels: { app: 'db' } }),
    scope: SITE_A,
    refused: /pool selected, which belongs to site b/,
  },
  {
    what: 'adds a foreign member to its own pool',
    kind: 'pool',
    name: 'own',
    bend: (doc) => doc.pools.own.members.push({ realServer: 'rs-b1' }),
    scope: SITE_A,
    refused: /belongs to site b/,
  },
  {
    what: 'takes a foreign member out of a shared pool',
    kind: 'pool',
    name: 'shared',
    bend: (doc) => doc.pools.shared.members.pop(),
    scope: SITE_A,
    refused: /belongs to site b/,
  },
  {
    what: 'has its service carried elsewhere',
    kind: 'virtual-service',
    name: 'own',
    bend: (doc) => Object.assign(doc.virtualServices.own.carriedBy, { directors: ['dir-b'] }),
    scope: SITE_A,
    refused: /belongs to site b/,
  },
  {
    what: 'points its service at a pool of others',
    kind: 'virtual-service',
    name: 'own',
    bend: (doc) => Object.assign(doc.virtualServices.own, { pool: 'shared' }),
    scope: SITE_A,
    refused: /belongs to site b/,
  },
  {
    what: 'changes what has its label',
    kind: 'pool',
    name: 'own',
    bend: (doc) => Object.assign(doc.pools.own, { members: [] }),
    scope: WEB,
    refused: null,
  },
  {
    what: 'changes what lacks its label',
    kind: 'pool',
    name: 'shared',
    bend: (doc) => Object.assign(doc.pools.shared, { members: [] }),
    scope: WEB,
    refused: /lacks the label team=web/,
  },
  {
    what: 'puts its label on what is not its own',
    kind: 'real-server',
    name: 'rs-b1',
    bend: (doc) => Object.assign(doc.realServers['rs-b1'], { labels: { team: 'web' } }),
    scope: WEB,
    refused: /lacks the label/,
  },
  {
    what: 'takes its label off',
    kind: 'real-server',
    name: 'rs-a1',
    bend: (doc) => Object.assign(doc.realServers['rs-a1'], { labels: {} }),
    scope: WEB,
    refused: /lacks the label/,
  },
  {
    what: 'needs site and label where it is bound to both',
    kind: 'real-server',
    name: 'rs-a2',
    bend: (doc) => Object.assign(doc.realServers['rs-a2'], { state: 'drain' }),
    scope: WEB_A,
    refused: /lacks the label/,
  },
  {
    what: 'removes what is its own',
    kind: 'virtual-service',
    name: 'own',
    bend: (doc) => Reflect.deleteProperty(doc.virtualServices, 'own'),
    scope: SITE_A,
    refused: null,
  },
  {
    what: 'removes what is not',
    kind: 'virtual-service',
    name: 'elsewhere',
    bend: (doc) => Reflect.deleteProperty(doc.virtualServices, 'elsewhere'),
    scope: SITE_A,
    refused: /belongs to site b/,
  },
  {
    what: 'makes a site that is not its own',
    kind: 'site',
    name: 'c',
    bend: (doc) => Object.assign(doc.sites, { c: {} }),
    scope: SITE_A,
    refused: /belongs to site c/,
  },
]
for (const { what, kind, name, bend, scope, refused } of CASES) {
  test(`who is bound to ${JSON.stringify(scope)} ${what}: ${refused === null ? 'allowed' : 'refused'}`, () => {
    const found = trespasses(scope, fleetOf(), fleetOf(bend), [{ kind, name }])
    if (refused === null) assert.deepEqual(found, [])
    else assert.match(found[0]?.why ?? '', refused)
  })
}

const grant = (role: Grant['role'], scope: Partial<Scope> = {}): Grant => ({
  role,
  sites: null,
  labels: null,
  ...scope,
})
const siteOperator = grant('site-operator', { sites: ['a', 'b'] })
const labelled = grant('site-operator', { sites: ['a'], labels: { team: 'web' } })

const COVERS: readonly [own: Grant, wanted: Grant, allowed: boolean][] = [
  [grant('admin'), grant('admin'), true],
  [grant('operator'), grant('admin'), false],
  [grant('operator'), grant('operator'), true],
  [grant('operator'), siteOperator, true],
  [grant('viewer'), grant('viewer'), false],
  [grant('enroller', { sites: ['a'] }), grant('enroller', { sites: ['a'] }), false],
  [siteOperator, grant('operator'), false],
  [siteOperator, grant('viewer'), false],
  [siteOperator, grant('site-operator', { sites: ['a'] }), true],
  [siteOperator, grant('site-operator', { sites: ['a', 'c'] }), false],
  [siteOperator, grant('site-operator', { labels: { team: 'web' } }), false],
  [siteOperator, labelled, true],
  [labelled, grant('site-operator', { sites: ['a'] }), false],
  [labelled, grant('enroller', { sites: ['a'] }), false],
  [siteOperator, grant('enroller', { sites: ['b'] }), true],
]
for (const [own, wanted, allowed] of COVERS) {
  test(`${JSON.stringify(own)} ${allowed ? 'hands on' : 'does not hand on'} ${JSON.stringify(wanted)}`, () => {
    assert.equal(covers(own, wanted), allowed)
  })
}

test('a scope where it says nothing, or none where one is needed, is a problem', () => {
  assert.equal(grantProblem(grant('viewer', { sites: ['a'] }))?.field, 'sites')
  assert.equal(grantProblem(grant('admin', { labels: { a: 'b' } }))?.field, 'labels')
  assert.equal(grantProblem(grant('site-operator'))?.field, 'sites')
  assert.equal(
    grantProblem(grant('enroller', { sites: ['a'], labels: { a: 'b' } }))?.field,
    'labels',
  )
  assert.equal(grantProblem(labelled), undefined)
})
