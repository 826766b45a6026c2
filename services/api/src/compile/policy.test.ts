/** Levels, policies and overrides on their way from a pool to the director's state. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DestinationState, Level, ServiceState } from '@lvs-fleet/contract'
import { threeSites } from '../../../../test/fixtures/three-sites.ts'
import { edit, twoSites, type FleetText } from '../../../../test/fixtures/two-sites.ts'
import type { Fleet } from '../intent/fleet.ts'
import { validateFleet } from '../intent/validate.ts'
import { compileFleet } from './compile.ts'

const EXPIRES = '2026-12-01T00:00:00Z'

function serviceOf(fleet: Fleet, director: string): ServiceState {
  assert.deepEqual(validateFleet(fleet), [])
  const compiled = compileFleet(fleet)
  assert.deepEqual(compiled.problems, [])
  const service = compiled.hosts.get(`director/${director}`)?.state.services[0]
  assert.ok(service !== undefined)
  return service
}

const policy = (fields: object) => (fleet: FleetText) =>
  edit(fleet, 'pools', 'web', { policy: fields })

/** `rs-a1 0`: real server and level. */
function levels(fleet: Fleet, director: string): [string, Level | undefined][] {
  return serviceOf(fleet, director).destinations.map((one) => [
    one.realServer,
    one.placement?.level,
  ])
}

describe('levels', () => {
  it('without a policy nothing of it is in the state', () => {
    const service = serviceOf(twoSites(), 'dir-a')
    assert.equal('policy' in service, false)
    assert.ok(service.destinations.every((one) => !('placement' in one) && !('overrides' in one)))
  })

  it('local-first: each director has its own site first', () => {
    const fleet = twoSites(policy({}))
    assert.deepEqual(levels(fleet, 'dir-a'), [
      ['rs-a1', 0],
      ['rs-a2', 0],
      ['rs-b1', 1],
      ['rs-b2', 1],
    ])
    assert.deepEqual(levels(fleet, 'dir-b')[0], ['rs-a1', 1])
    assert.deepEqual(levels(fleet, 'dir-b')[3], ['rs-b2', 0])
  })

  const shop = (change: (fleet: FleetText) => void) =>
    threeSites((fleet) => {
      edit(fleet, 'pools', 'shop', { selector: { matchLabels: { app: 'shop' } } })
      change(fleet)
    })
  const bySite = (fleet: Fleet, director: string) =>
    Object.fromEntries(
      serviceOf(fleet, director).destinations.map(({ placement }) => [
        placement?.site ?? '',
        placement?.level,
      ]),
    )

  it('path-cost: the others by cost, its own word first, equal ones together, unknown ones last', () => {
    const costs = (paths: Record<string, object[]>) =>
      shop((fleet) => {
        edit(fleet, 'pools', 'shop', { policy: { levels: 'path-cost' } })
        for (const site of ['a', 'b', 'c']) edit(fleet, 'sites', site, { paths: paths[site] ?? [] })
      })
    const different = costs({
      b: [
        { to: 'a', cost: 30 },
        { to: 'c', cost: 20 },
      ],
    })
    assert.deepEqual(bySite(different, 'dir-b'), { a: 2, b: 0, c: 1 })
    const ownWord = costs({
      b: [
        { to: 'a', cost: 10 },
        { to: 'c', cost: 20 },
      ],
      a: [{ to: 'b', cost: 90 }],
    })
    assert.deepEqual(bySite(ownWord, 'dir-b'), { a: 1, b: 0, c: 2 })
    const equal = costs({
      b: [
        { to: 'a', cost: 10 },
        { to: 'c', cost: 10 },
      ],
    })
    assert.deepEqual(bySite(equal, 'dir-b'), { a: 1, b: 0, c: 1 })
    const unknown = costs({ c: [{ to: 'b', cost: 10 }] })
    assert.deepEqual(bySite(unknown, 'dir-b'), { a: 2, b: 0, c: 1 })
  })

  it('a list: its own site, then these in order, then those that are not in it; none: one level', () => {
    const listed = (list: unknown) =>
      shop((fleet) => edit(fleet, 'pools', 'shop', { policy: { levels: list } }))
    assert.deepEqual(bySite(listed(['b', 'c', 'a']), 'dir-b'), { a: 2, b: 0, c: 1 })
    assert.deepEqual(bySite(listed(['c']), 'dir-b'), { a: 2, b: 0, c: 1 })
    assert.deepEqual(bySite(listed('none'), 'dir-b'), { a: 0, b: 0, c: 0 })
  })

  it('a level of a member holds on every director', () => {
    const fleet = twoSites((text) =>
      edit(text, 'pools', 'web', {
        members: [{ realServer: 'rs-a1' }, { realServer: 'rs-b1', level: 0 }],
        policy: {},
      }),
    )
    assert.deepEqual(levels(fleet, 'dir-a'), [
      ['rs-a1', 0],
      ['rs-b1', 0],
    ])
  })

  it('the full weight is that before any drain', () => {
    const fleet = twoSites((text) => {
      policy({})(text)
      edit(text, 'realServers', 'rs-a2', { state: 'drain' })
    })
    const drained = serviceOf(fleet, 'dir-a').destinations[1]
    assert.equal(drained?.weight, 0)
    assert.deepEqual(drained?.placement, { level: 0, site: 'a', fullWeight: 50 })
  })

  it('the sorry server is a destination of its own level, and no member by its labels', () => {
    const fleet = shop((text) =>
      edit(text, 'pools', 'shop', { policy: { sorryServer: { realServer: 'rs-c1' } } }),
    )
    const found = serviceOf(fleet, 'dir-b').destinations.filter((one) => one.realServer === 'rs-c1')
    assert.deepEqual(
      found.map(({ weight, placement }) => [weight, placement?.level]),
      [[100, 'sorry']],
    )
  })

  it('policies arrive with every default, capacities sorted', () => {
    const fleet = twoSites(policy({ capacity: { b: 30, a: 90 }, slowStartSeconds: 60 }))
    assert.deepEqual(serviceOf(fleet, 'dir-a').policy, {
      overprovisioningFactor: 1.4,
      panicThresholdPercent: 50,
      hysteresisPercent: 5,
      maxChangePercent: 20,
      changeIntervalSeconds: 10,
      slowStartSeconds: 60,
      capacities: [
        { site: 'a', maxSharePercent: 90 },
        { site: 'b', maxSharePercent: 30 },
      ],
    })
  })

  it('warns where the scheduler cannot share by weight', () => {
    const warned = (scheduler: string, fields: Record<string, unknown>) =>
      compileFleet(
        twoSites((text) => {
          edit(text, 'pools', 'web', fields)
          edit(text, 'pools', 'web', { members: [{ realServer: 'rs-a1' }] })
          edit(text, 'virtualServices', 'web-a', { scheduler })
        }),
      ).warnings.map(({ code, name }) => [code, name])
    assert.deepEqual(warned('rr', { policy: {} }), [['scheduler-levels', 'web-a']])
    assert.deepEqual(warned('sh', { policy: {} }), [['scheduler-levels', 'web-a']])
    assert.deepEqual(warned('mh', { policy: {} }), [])
    assert.deepEqual(warned('rr', {}), [])
  })
})

describe('overrides', () => {
  const overridesOf = (destination: DestinationState | undefined) =>
    destination?.overrides?.map(({ name }) => name)
  const override = (fields: object): Record<string, unknown> => ({
    realServer: 'rs-a1',
    kind: 'down',
    reason: 'disk',
    owner: 'ann',
    expiresAt: EXPIRES,
    ...fields,
  })

  it('reach every destination of their real server, those of one pool before those of all', () => {
    const fleet = twoSites((text) => {
      edit(text, 'overrides', 'all-down', override({}))
      edit(text, 'overrides', 'web-up', override({ kind: 'up', pool: 'web' }))
      edit(text, 'overrides', 'web-five', override({ kind: 'weight', weight: 5, pool: 'web' }))
      edit(text, 'pools', 'other', { members: [] })
      edit(text, 'overrides', 'elsewhere', override({ pool: 'other' }))
    })
    for (const director of ['dir-a', 'dir-b']) {
      const { destinations } = serviceOf(fleet, director)
      assert.deepEqual(overridesOf(destinations[0]), ['web-five', 'web-up', 'all-down'])
      assert.equal(overridesOf(destinations[1]), undefined)
    }
    assert.deepEqual(serviceOf(fleet, 'dir-a').destinations[0]?.overrides?.[0], {
      kind: 'weight',
      weight: 5,
      name: 'web-five',
      reason: 'disk',
      owner: 'ann',
      expiresAt: Date.parse(EXPIRES),
    })
  })
})
