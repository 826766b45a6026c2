/** Drains in compiled states: whom they concern, which of several counts, what becomes of templates. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canonicalJson, type DestinationState } from '@lvs-fleet/contract'
import { edit, twoSites, type FleetText } from '../../../../test/fixtures/two-sites.ts'
import { compileFleet } from './compile.ts'
import { explainVirtualService } from './explain/virtual-service.ts'

const UNTIL = '2026-11-24T18:00:00Z'
const drain = (fields: Record<string, unknown>) => ({
  reason: 'new disk',
  deadline: UNTIL,
  ...fields,
})

function compiled(change: (document: FleetText) => void) {
  return compileFleet(twoSites(change))
}

function stateOf(change: (document: FleetText) => void, director: string) {
  const state = compiled(change).hosts.get(`director/${director}`)?.state
  assert.ok(state !== undefined)
  return state
}

/** Real servers of a director that drain, in its first virtual service. */
function drained(change: (document: FleetText) => void, director: string): string[] {
  const [service] = stateOf(change, director).services
  const names = (one: readonly DestinationState[]) => one.map(({ realServer }) => realServer)
  const all = service?.destinations ?? []
  const found = all.filter((one) => one.drain !== undefined)
  assert.deepEqual(names(found), names(all.filter(({ weight }) => weight === 0)))
  return names(found).toSorted()
}

const ROWS: { name: string; target: object; onA: string[]; onB: string[] }[] = [
  {
    name: 'a real server, on every director',
    target: { realServer: 'rs-a1' },
    onA: ['rs-a1'],
    onB: ['rs-a1'],
  },
  {
    name: 'a member of a pool',
    target: { realServer: 'rs-a1', pool: 'web' },
    onA: ['rs-a1'],
    onB: ['rs-a1'],
  },
  {
    name: 'a member of a pool that they do not use',
    target: { realServer: 'rs-a1', pool: 'other' },
    onA: [],
    onB: [],
  },
  { name: 'a site', target: { site: 'b' }, onA: ['rs-b1', 'rs-b2'], onB: ['rs-b1', 'rs-b2'] },
  {
    name: 'a director alone',
    target: { director: 'dir-a' },
    onA: ['rs-a1', 'rs-a2', 'rs-b1', 'rs-b2'],
    onB: [],
  },
]
for (const { name, target, onA, onB } of ROWS) {
  test(`drains ${name}`, () => {
    const change = (document: FleetText) => {
      edit(document, 'pools', 'other', { members: [{ realServer: 'rs-a2' }] })
      edit(document, 'drains', 'd', drain({ ...target }))
    }
    assert.deepEqual([drained(change, 'dir-a'), drained(change, 'dir-b')], [onA, onB])
  })
}

test('a state says what a director needs to carry it out alone', () => {
  const state = stateOf(
    (document) => edit(document, 'drains', 'd', drain({ realServer: 'rs-a1', owner: 'ops' })),
    'dir-a',
  )
  assert.deepEqual(state.services[0]?.destinations[0]?.drain, {
    name: 'd',
    reason: 'new disk',
    owner: 'ops',
    deadline: Date.parse(UNTIL),
    idleSeconds: 10,
    waitForTemplates: false,
  })
})

test('of several that concern a destination the one that ends first counts', () => {
  const state = stateOf((document) => {
    edit(document, 'drains', 'a', drain({ site: 'a' }))
    edit(document, 'drains', 'b', drain({ realServer: 'rs-a1', deadline: '2026-11-24T17:00:00Z' }))
  }, 'dir-a')
  const names = state.services[0]?.destinations.map((one) => one.drain?.name)
  assert.deepEqual(names, ['b', 'a', undefined, undefined])
})

test('a drain that is cancelled leaves every state byte for byte as it was', () => {
  const hosts = (change: (document: FleetText) => void) =>
    canonicalJson([...compiled(change).hosts])
  const before = hosts(() => {})
  assert.notEqual(
    hosts((document) => edit(document, 'drains', 'd', drain({ realServer: 'rs-a1' }))),
    before,
  )
  assert.doesNotMatch(before, /drain"|askedDrains/)
})

const KEY = 'net.ipv4.vs.expire_quiescent_template'
const TEMPLATES: { own: boolean | null; asked: boolean; value: string; waits: boolean }[] = [
  { own: null, asked: false, value: '1', waits: false },
  { own: false, asked: false, value: '0', waits: true },
  { own: false, asked: true, value: '1', waits: false },
  { own: true, asked: false, value: '1', waits: false },
]
for (const { own, asked, value, waits } of TEMPLATES) {
  test(`templates: director ${own}, drain ${asked ? 'asks' : 'does not ask'}`, () => {
    const state = stateOf((document) => {
      edit(document, 'directors', 'dir-a', { ipvs: { expireQuiescentTemplate: own } })
      edit(document, 'virtualServices', 'web-a', { persistence: { timeoutSeconds: 300 } })
      edit(document, 'drains', 'd', drain({ realServer: 'rs-a1', expireTemplates: asked }))
    }, 'dir-a')
    assert.equal(state.sysctls.find(({ key }) => key === KEY)?.value, value)
    assert.equal(state.services[0]?.destinations[0]?.drain?.waitForTemplates, waits)
  })
}

test('explain says which drain it is', () => {
  const fleet = twoSites((document) =>
    edit(document, 'drains', 'd', drain({ realServer: 'rs-a1' })),
  )
  const choice = explainVirtualService(fleet, 'web-a').find((one) => one.realServer === 'rs-a1')
  assert.deepEqual([choice?.weight, choice?.weightReasons], [0, ['drain d: new disk']])
})

test('one that takes the last destination is worth a warning', () => {
  const codes = (target: object) =>
    compiled((document) => edit(document, 'drains', 'd', drain({ ...target }))).warnings.map(
      ({ code, pointer }) => `${code} ${pointer}`,
    )
  assert.deepEqual(codes({ site: 'b' }), [])
  assert.deepEqual(codes({ director: 'dir-a' }), ['drain-empties /drains/d'])
})
