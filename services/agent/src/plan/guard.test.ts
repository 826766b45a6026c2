import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shrinkAllowed, shrinkHeld } from './guard.ts'
import { destination, service } from '../../../../test/fakes/states.ts'

const one = service('10.1.0.1', [destination('10.2.0.1')])
const two = service('10.1.0.1', [destination('10.2.0.1'), destination('10.2.0.2')])
const none = service('10.1.0.1', [])

const HELD: [
  string,
  number,
  { before: typeof one | undefined; after: typeof one | undefined }[],
  RegExp | undefined,
][] = [
  ['one of four services may go', 4, [{ before: one, after: undefined }], undefined],
  [
    'two of four may not',
    4,
    [
      { before: one, after: undefined },
      { before: two, after: undefined },
    ],
    /2 of 4/,
  ],
  ['the only one may not', 1, [{ before: one, after: undefined }], /1 of 1/],
  ['half of the destinations may go', 9, [{ before: two, after: one }], undefined],
  ['the last destination may not', 9, [{ before: one, after: none }], /1 of 1 destinations/],
  ['new ones are no loss', 0, [{ before: undefined, after: one }], undefined],
]
for (const [name, servicesBefore, changes, want] of HELD) {
  test(name, () => {
    const held = shrinkHeld(servicesBefore, changes)
    if (want === undefined) assert.equal(held, undefined)
    else assert.match(held ?? '', want)
  })
}

const at = (epoch: number, generation: number, shrinkAllowedGeneration: number) => ({
  epoch,
  generation,
  shrinkAllowedGeneration,
})
const ALLOWED: [
  string,
  { epoch: number; generation: number } | null,
  ReturnType<typeof at>,
  boolean,
][] = [
  ['never allowed', { epoch: 1, generation: 4 }, at(1, 6, 0), false],
  ['allowed for this one', { epoch: 1, generation: 4 }, at(1, 6, 6), true],
  ['allowed for one that was skipped', { epoch: 1, generation: 4 }, at(1, 6, 5), true],
  ['used up by what is in force', { epoch: 1, generation: 5 }, at(1, 6, 5), false],
  ['not for one that is still to come', { epoch: 1, generation: 4 }, at(1, 6, 7), false],
  ['after an epoch bump only for exactly this', { epoch: 1, generation: 4 }, at(2, 6, 5), false],
  ['which it then is', { epoch: 1, generation: 9 }, at(2, 6, 6), true],
  ['with nothing in force only for exactly this', null, at(1, 6, 5), false],
]
for (const [name, inForce, manifest, want] of ALLOWED) {
  test(`shrink ${name}`, () => assert.equal(shrinkAllowed(inForce, manifest), want))
}
