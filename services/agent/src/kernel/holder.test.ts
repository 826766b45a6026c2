import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ip } from '@lvs-fleet/contract'
import { holdersOf } from './holder.ts'

const at = (prefixLength: number, linkIndex: number) => ({
  address: ip('10.1.0.10'),
  prefixLength,
  linkIndex,
  deprecated: false,
})

const ROWS = [
  { name: 'the only one', given: [at(24, 2)], want: 2 },
  { name: 'a full prefix where there is no other', given: [at(32, 3)], want: 3 },
  { name: 'the interface proper before a tunnel device', given: [at(24, 2), at(32, 7)], want: 2 },
  { name: 'the interface proper after a tunnel device', given: [at(32, 7), at(24, 2)], want: 2 },
  { name: 'the first of two alike', given: [at(24, 2), at(24, 4)], want: 2 },
  { name: 'nothing', given: [], want: undefined },
]

describe('holdersOf', () => {
  for (const { name, given, want } of ROWS) {
    it(name, () => assert.equal(holdersOf(given).get(ip('10.1.0.10')), want))
  }
})
