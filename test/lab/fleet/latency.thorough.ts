/** The promise of quick changes, held to a clock: wants a machine with nothing else to do. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { FleetLab } from './fleet-lab.ts'
import { measureChanges } from './measure-changes.ts'

describe('a change on its way to the kernel', () => {
  let fleet: FleetLab

  before(async () => {
    fleet = await FleetLab.start()
    await fleet.bringUp()
  })
  after(async () => fleet.stop())

  it('takes less than a second, 99 times of 100', async () => {
    const samples = (await measureChanges(fleet, 200)).toSorted((a, b) => a - b)
    const p99 = samples[197] ?? Infinity
    console.log(`    200 writes, ms to the kernel: p50 ${samples[99]}, p99 ${p99}`)
    assert.ok(p99 < 1000, `p99 is ${p99} ms`)
  })
})
