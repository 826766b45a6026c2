import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { describe, test } from 'node:test'
import { createSecureContext } from 'node:tls'
import fc from 'fast-check'
import { call } from './calls.ts'
import { makeCertificate } from './certificate.ts'
import { METHODS, type Method } from './messages.ts'
import { planChange, replacedBy, withoutWriteOnly } from './plan.ts'
import { diagnosticMessage } from './problem.ts'
import type { Provider } from './provider.ts'
import type { Block } from './schema.ts'
import { packValue, unpackValue, UNKNOWN, Unknown } from './values.ts'
import { decode, encode, message, type Fields } from './wire.ts'

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
  test('are good for localhost as their own authority, 3,000 times', () => {
    for (let n = 0; n < 3_000; n++) {
      const { certPem, keyPem, der } = makeCertificate()
      assert.doesNotMatch(certPem, /\n\n/)
      const read = new X509Certificate(certPem)
      assert.ok(read.raw.equals(der))
      assert.ok(read.ca && read.checkHost('localhost') === 'localhost')
      assert.ok(read.verify(read.publicKey) && read.checkPrivateKey(createPrivateKey(keyPem)))
      // What OpenSSL reads when a server starts, and when it trusts its client.
      createSecureContext({ cert: certPem, key: keyPem, ca: certPem })
    }
  })
})

const BOX: Block = {
  blocks: [
    {
      name: 'side',
      nesting: 'list',
      block: { attributes: [{ name: 'mark', type: 'string', computed: true }], blocks: [] },
    },
  ],
  attributes: [
    { name: 'name', type: 'string', required: true, replaces: true },
    { name: 'id', type: 'string', computed: true },
    { name: 'revision', type: 'number', computed: true, isVolatile: true },
    { name: 'secret', type: 'string', optional: true, writeOnly: true },
    { name: 'tags', type: ['map', 'string'], optional: true },
    {
      name: 'parts',
      optional: true,
      nested: {
        nesting: 'map',
        attributes: [
          { name: 'weight', type: 'number', optional: true, computed: true, default: 1 },
          { name: 'pin', type: 'string', optional: true, writeOnly: true },
        ],
      },
    },
    {
      name: 'owner',
      optional: true,
      nested: { nesting: 'single', attributes: [{ name: 'person', type: 'string' }] },
    },
  ],
}
const NONE = { secret: null, tags: null, parts: null, owner: null, side: [] }

describe('a plan', () => {
  const plan = (prior: unknown, planned: unknown, config: unknown) =>
    planChange(BOX, { type: 'box', prior, planned, config })
  const rows: readonly (readonly [string, unknown, unknown, unknown, unknown])[] = [
    ['of nothing is nothing', { name: 'a' }, null, null, null],
    [
      'of something new has what only doing it tells',
      null,
      { ...NONE, name: 'a', id: null, revision: null, side: [{ mark: null }] },
      { ...NONE, name: 'a', id: null, revision: null, side: [{ mark: null }] },
      { ...NONE, name: 'a', id: UNKNOWN, revision: UNKNOWN, side: [{ mark: UNKNOWN }] },
    ],
    [
      'of no change is what is there',
      { ...NONE, name: 'a', id: '1', revision: 3 },
      { ...NONE, name: 'a', id: '1', revision: 3, secret: 'comes each time' },
      { ...NONE, name: 'a', id: null, revision: null, secret: 'comes each time' },
      { ...NONE, name: 'a', id: '1', revision: 3 },
    ],
    [
      'of a change makes volatile values new, and others stay',
      { ...NONE, name: 'a', id: '1', revision: 3 },
      { ...NONE, name: 'a', id: '1', revision: 3, tags: { x: UNKNOWN } },
      { ...NONE, name: 'a', id: null, revision: null, tags: { x: UNKNOWN } },
      { ...NONE, name: 'a', id: '1', revision: UNKNOWN, tags: { x: UNKNOWN } },
    ],
    [
      'goes back to a default where a value is said no more',
      { ...NONE, name: 'a', id: '1', revision: 3, parts: { x: { weight: 9, pin: null } } },
      { ...NONE, name: 'a', id: '1', revision: 3, parts: { x: { weight: 9, pin: '1' } } },
      { ...NONE, name: 'a', id: null, revision: null, parts: { x: { weight: null, pin: '1' } } },
      { ...NONE, name: 'a', id: '1', revision: UNKNOWN, parts: { x: { weight: 1, pin: null } } },
    ],
  ]
  for (const [what, prior, planned, config, want] of rows)
    test(what, () => assert.deepEqual(plan(prior, planned, config), want))

  test('names what makes it another resource', () => {
    assert.deepEqual(replacedBy(BOX, { name: 'a', id: '1' }, { name: 'b', id: '1' }), ['name'])
    assert.deepEqual(replacedBy(BOX, { name: 'a', id: '1' }, { name: 'a', id: UNKNOWN }), [])
    assert.deepEqual(replacedBy(BOX, null, { name: 'a' }), [])
    assert.deepEqual(replacedBy(BOX, { name: 'a' }, { name: UNKNOWN }), ['name'])
  })

  test('leaves write-only values in no state, at any depth', () => {
    const kept = withoutWriteOnly(BOX, {
      name: 'a',
      secret: 's',
      parts: { x: { weight: 1, pin: 'p' } },
    })
    assert.ok(!JSON.stringify(kept).match(/"s"|"p"/))
    assert.equal(withoutWriteOnly(BOX, null), null)
  })
})

describe('a problem', () => {
  const rows: readonly (readonly [string, readonly (string | number)[], object])[] = [
    ['of nothing in particular', [], {}],
    ['of an attribute', ['name'], { attribute: { steps: [{ attributeName: 'name' }] } }],
    [
      'within an element of a map',
      ['parts', 'x', 'weight'],
      {
        detail: 'At parts.x.weight.',
        attribute: { steps: [{ attributeName: 'parts' }, { elementKeyString: 'x' }] },
      },
    ],
    [
      'within a block of many',
      ['side', 0, 'mark'],
      {
        detail: 'At side.0.mark.',
        attribute: { steps: [{ attributeName: 'side' }, { elementKeyInt: 0 }] },
      },
    ],
    [
      'within a single object, whose names are no keys',
      ['owner', 'person'],
      { detail: 'At owner.person.', attribute: { steps: [{ attributeName: 'owner' }] } },
    ],
  ]
  for (const [what, path, want] of rows)
    test(what, () =>
      assert.deepEqual(diagnosticMessage({ summary: 's', path }, BOX), {
        severity: 1,
        summary: 's',
        ...want,
      }),
    )
})

describe('a call', () => {
  const NOTHING: Provider = {
    provider: { attributes: [], blocks: [] },
    resources: { box: BOX },
    dataSources: {},
    ephemerals: {},
    configure: () => Promise.resolve(),
    apply: () => Promise.reject(new Error('the server is away')),
    read: () => Promise.resolve(null),
    readData: () => Promise.reject(new Error('no data')),
    open: () => Promise.reject(new Error('no ephemerals')),
  }
  const summaries = async (method: Method, request: object): Promise<unknown> => {
    const { diagnostics } = await call(NOTHING, method, { typeName: 'box', ...request })
    return Array.isArray(diagnostics) ? diagnostics.map((one: Fields) => one['summary']) : undefined
  }

  test('to a provider without functions says that it has none', async () => {
    assert.deepEqual(await call(NOTHING, 'GetFunctions', {}), { functions: {} })
    assert.deepEqual(await call(NOTHING, 'CallFunction', { name: 'label' }), {
      error: { text: 'there is no function label' },
    })
  })

  test('that a provider cannot serve is told as an error, and ends nothing', async () => {
    assert.deepEqual(await summaries('ImportResourceState', { id: 'a' }), [
      'a box cannot be imported',
    ])
    assert.deepEqual(await summaries('ApplyResourceChange', {}), ['the server is away'])
    assert.deepEqual(await summaries('PlanResourceChange', { typeName: 'jar' }), [
      'there is no resource jar',
    ])
  })

  test('to upgrade a state that the provider cannot read is refused; a newer one is taken as it is', async () => {
    const older: Provider = { ...NOTHING, resources: { box: { ...BOX, version: 2 } } }
    const rawState = { json: Buffer.from('{"name":"a"}') }
    const refused = await call(older, 'UpgradeResourceState', {
      typeName: 'box',
      version: 1,
      rawState,
    })
    assert.match(JSON.stringify(refused), /a state of box in version 1 cannot be read any more/)
    const { upgradedState } = await call(older, 'UpgradeResourceState', {
      typeName: 'box',
      version: 2,
      rawState,
    })
    assert.match(JSON.stringify(unpackValue(upgradedState)), /"name":"a"/)
  })
})
