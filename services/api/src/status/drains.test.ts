/** Rows: what directors say of a drain → its state. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DrainProgress } from '@lvs-fleet/contract'
import { drainView, type DrainObserver } from './drains.ts'

const progress = (fields: Partial<DrainProgress> = {}): DrainProgress => ({
  name: 'd',
  destinations: 2,
  drained: 0,
  idle: 0,
  activeConnections: 5,
  inactiveConnections: 1,
  persistentConnections: 0,
  remainingSeconds: 60,
  ...fields,
})

function says(director: string, one: DrainProgress | undefined, isCurrent = true): DrainObserver {
  const drains = [
    { service: 's', destination: 'e', remainingSeconds: 60, connections: 5, drain: 'd' },
    { service: 's', destination: 'f', remainingSeconds: 60, connections: 5, drain: 'other' },
    { service: 's', destination: 'g', remainingSeconds: 60, connections: 5 },
  ]
  const drainProgress = one === undefined ? [] : [one]
  return { director, destinations: 2, report: { drainProgress, drains }, isCurrent }
}
const silent = (director: string): DrainObserver => ({
  director,
  destinations: 2,
  report: null,
  isCurrent: false,
})
const DONE = progress({ drained: 2, activeConnections: 0, inactiveConnections: 0 })

const ROWS: { name: string; given: DrainObserver[]; state: string; of: string[] }[] = [
  { name: 'nobody is concerned', given: [], state: 'drained', of: [] },
  {
    name: 'all are out',
    given: [says('a', DONE), says('b', DONE)],
    state: 'drained',
    of: ['drained', 'drained'],
  },
  {
    name: 'one still has some',
    given: [says('a', DONE), says('b', progress())],
    state: 'draining',
    of: ['drained', 'draining'],
  },
  {
    name: 'one is silent',
    given: [says('a', DONE), silent('b')],
    state: 'stalled',
    of: ['drained', 'silent'],
  },
  {
    name: 'one has not heard of it, or cannot',
    given: [says('a', undefined)],
    state: 'draining',
    of: ['waiting'],
  },
  {
    name: 'one is out by an older state',
    given: [says('a', DONE, false)],
    state: 'draining',
    of: ['waiting'],
  },
]
for (const { name, given, state, of } of ROWS) {
  test(`${name}: ${state}`, () => {
    const view = drainView('d', given)
    assert.equal(view.state, state)
    assert.deepEqual(
      view.directors.map((one) => one.state),
      of,
    )
  })
}

test('counts are summed over directors, and only what belongs to the drain is listed', () => {
  const view = drainView('d', [
    says('a', progress()),
    says('b', progress({ drained: 1, activeConnections: 7 })),
  ])
  assert.deepEqual(
    [view.destinations, view.drained, view.activeConnections, view.inactiveConnections],
    [4, 1, 12, 2],
  )
  assert.deepEqual(view.directors[0]?.left, [
    { service: 's', destination: 'e', connections: 5, remainingSeconds: 60 },
  ])
})
