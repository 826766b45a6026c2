import assert from 'node:assert/strict'
import { test } from 'node:test'
import { edit, twoSites } from '../../../../test/fixtures/two-sites.ts'
import { expiryProblems, remainingOverrides, signOverrides } from './override-rules.ts'

const NOW = new Date('2026-11-24T12:00:00Z')

const fleetWith = (...ends: readonly string[]) =>
  twoSites((text) => {
    for (const [i, expiresAt] of ends.entries()) {
      const fields = { realServer: 'rs-a1', kind: 'down', reason: 'disk', expiresAt }
      edit(text, 'overrides', `o${i}`, { ...fields, ...(i === 0 ? {} : { owner: 'ann' }) })
    }
  })

test('an override ends in the future, and within thirty days', () => {
  const { overrides } = fleetWith(
    '2026-11-24T12:00:00Z',
    '2026-11-24T12:00:01Z',
    '2026-12-24T12:00:00Z',
    '2026-12-24T12:00:01Z',
  )
  const wrong = expiryProblems(overrides, NOW).map(({ pointer, code }) => `${pointer} ${code}`)
  assert.deepEqual(wrong, [
    '/overrides/o0/expiresAt override-expiry',
    '/overrides/o3/expiresAt override-expiry',
  ])
})

test('whoever writes an override owns it, unless it says who does', () => {
  const fleet = fleetWith('2026-11-25T00:00:00Z', '2026-11-25T00:00:00Z')
  const owners = signOverrides(fleet, 'bob').overrides.map(({ owner }) => owner)
  assert.deepEqual(owners, ['bob', 'ann'])
  const signed = signOverrides(fleet, 'bob')
  assert.equal(signOverrides(signed, 'eve'), signed)
})

test('an override leaves with its real server or its pool', () => {
  const fleet = twoSites((text) => {
    const fields = { kind: 'down', reason: 'disk', expiresAt: '2026-11-25T00:00:00Z' }
    edit(text, 'pools', 'other', {})
    edit(text, 'overrides', 'stays', { ...fields, realServer: 'rs-a1', pool: 'web' })
    edit(text, 'overrides', 'server-goes', { ...fields, realServer: 'rs-a2' })
    edit(text, 'overrides', 'pool-goes', { ...fields, realServer: 'rs-a1', pool: 'other' })
  })
  const left = remainingOverrides(fleet.overrides, {
    realServers: fleet.realServers.filter(({ name }) => name !== 'rs-a2'),
    pools: fleet.pools.filter(({ name }) => name !== 'other'),
  })
  assert.deepEqual(
    left.map(({ name }) => name),
    ['stays'],
  )
})
