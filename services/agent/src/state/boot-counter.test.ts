import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countStart, FRESH_BOOT, isQuarantined, type BootRecord } from './boot-counter.ts'

const version = (generation: number) => ({ epoch: 1, generation, digest: `d${generation}` })

function starts(record: BootRecord, generation: number, times: number): BootRecord {
  let next = record
  for (let i = 0; i < times; i++) next = countStart(next, version(generation))
  return next
}

test('the fourth start without a good life quarantines', () => {
  assert.equal(isQuarantined(starts(FRESH_BOOT, 1, 3), version(1)), false)
  assert.equal(isQuarantined(starts(FRESH_BOOT, 1, 4), version(1)), true)
})

test('the death that brought a new version counts', () => {
  const old: BootRecord = { version: version(1), starts: 0, quarantined: [] }
  assert.equal(isQuarantined(starts(old, 2, 2), version(2)), false)
  assert.equal(isQuarantined(starts(old, 2, 3), version(2)), true)
})

test('no state, nothing to quarantine', () => {
  assert.equal(countStart(starts(FRESH_BOOT, 1, 3), null).starts, 0)
})

test('remembers a bounded number of bad versions', () => {
  let record: BootRecord = FRESH_BOOT
  for (let generation = 1; generation <= 20; generation++) record = starts(record, generation, 4)
  assert.ok(record.quarantined.length <= 4)
})
