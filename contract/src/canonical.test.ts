import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonicalJson, sameJson } from './canonical.ts'

/** The definition, with no regard to time: JSON of a value whose objects were made anew with their keys in order. */
function defined(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(defined).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${defined(field)}`).join(',')}}`
}

const key = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.constantFrom('9', '10', '1', 'a', 'B', 'é', '\u{1f600}', '\uffff', '__proto__', ''),
)
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.string({ unit: 'binary' }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(null, true, false, -0, 1e21, 2 ** 53),
    fc.array(tie('value'), { maxLength: 4 }),
    fc
      .array(fc.tuple(key, fc.oneof(tie('value'), fc.constant(undefined))), { maxLength: 6 })
      .map((entries) => Object.fromEntries(entries)),
  ),
}))

test('the text of a value is the one that its definition gives, in whatever order its keys came', () => {
  fc.assert(fc.property(value, (given) => canonicalJson(given) === defined(given)))
})

/** Few keys and values, so that two of them are often alike. */
const { few } = fc.letrec<{ few: unknown }>((tie) => ({
  few: fc.oneof(
    { depthSize: 'xsmall' },
    fc.constantFrom(0, 1, '', 'a', null, true),
    fc.array(tie('few'), { maxLength: 2 }),
    fc
      .array(fc.tuple(fc.constantFrom('a', 'b'), fc.oneof(tie('few'), fc.constant(undefined))), {
        maxLength: 2,
      })
      .map((entries) => Object.fromEntries(entries)),
  ),
}))

test('two values are the same where their texts are', () => {
  const isSo = (a: unknown, b: unknown) => sameJson(a, b) === (defined(a) === defined(b))
  fc.assert(fc.property(few, few, isSo), { numRuns: 2_000 })
  fc.assert(fc.property(value, (given) => sameJson(given, structuredClone(given))))
})

test('what JSON cannot say is refused', () => {
  for (const value of [Number.NaN, Infinity, 1n, () => 1, Symbol('s'), undefined])
    assert.throws(() => canonicalJson({ a: [value] }), /no canonical JSON for/)
})
