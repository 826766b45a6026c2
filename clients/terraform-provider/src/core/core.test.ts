import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { makeCertificate } from './certificate.ts'
import { METHODS } from './messages.ts'
import { packValue, unpackValue, UNKNOWN, Unknown } from './values.ts'
import { decode, encode, message } from './wire.ts'

const inner = message({ name: { number: 1, type: 'string' }, count: { number: 2, type: 'int' } })
const outer = message({
  on: { number: 1, type: 'bool' },
  bytes: { number: 2, type: 'bytes' },
  items: { number: 3, type: inner, repeated: true },
  byName: { number: 20, type: { mapOf: inner } },
})

describe('the codec', () => {
  test('writes the bytes that the format says', () => {
    assert.equal(encode(inner, { name: 'ab', count: 300 }).toString('hex'), '0a02616210ac02')
    assert.equal(
      encode(outer, { on: true, items: [{ count: 1 }, {}] }).toString('hex'),
      '08011a0210011a00',
    )
    assert.equal(
      encode(outer, { byName: { a: { count: 1 } } }).toString('hex'),
      'a201070a0161120210' + '01',
    )
  })

  test('gives back what it was given', () => {
    const plain = { noNullPrototype: true }
    const innerValue = fc.record(
      { name: fc.string({ unit: 'binary', maxLength: 20 }), count: fc.maxSafeNat() },
      plain,
    )
    const value = fc.record(
      {
        on: fc.boolean(),
        bytes: fc.uint8Array({ maxLength: 50 }),
        items: fc.array(innerValue, { minLength: 1, maxLength: 5 }),
        byName: fc.dictionary(fc.string({ minLength: 1, unit: 'grapheme-ascii' }), innerValue, {
          minKeys: 1,
          maxKeys: 5,
          noNullPrototype: true,
        }),
      },
      plain,
    )
    fc.assert(
      fc.property(value, (given) => {
        const read = decode(outer, encode(outer, given))
        assert.deepEqual({ ...read, bytes: new Uint8Array(read['bytes'] as Buffer) }, given)
      }),
    )
  })

  test('passes over fields of a newer peer', () => {
    const newer = message({ ...inner.fields, more: { number: 9, type: outer } })
    const bytes = encode(newer, { name: 'a', more: { on: true } })
    assert.deepEqual(decode(inner, bytes), { name: 'a' })
  })

  test('ends on any bytes, with a value or an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decode(METHODS.PlanResourceChange.request, bytes)
        } catch (error) {
          assert.ok(error instanceof Error)
        }
      }),
    )
  })
})

describe('values', () => {
  test('come back, with what is not known yet at any depth', () => {
    const value = { a: [UNKNOWN, 1, null], b: { c: UNKNOWN }, d: 'text', e: 2 ** 40 }
    assert.deepEqual(unpackValue(packValue(value)), value)
    assert.equal(unpackValue(undefined), null)
    assert.deepEqual(unpackValue({ json: Buffer.from('{"a":1}') }), { a: 1 })
  })

  test('that are not known never become JSON', () => {
    assert.throws(() => JSON.stringify({ secret: UNKNOWN }), /not known yet/)
    assert.ok(unpackValue({ msgpack: Buffer.from('c7030c81a100', 'hex') }) instanceof Unknown)
  })
})

describe('certificates', () => {
  test('are good for localhost as their own authority, 1,000 times', () => {
    for (let n = 0; n < 1_000; n++) {
      const { certPem, keyPem, der } = makeCertificate()
      assert.doesNotMatch(certPem, /\n\n/)
      const read = new X509Certificate(certPem)
      assert.ok(read.raw.equals(der))
      assert.ok(read.ca && read.checkHost('localhost') === 'localhost')
      assert.ok(read.verify(read.publicKey) && read.checkPrivateKey(createPrivateKey(keyPem)))
    }
  })
})
