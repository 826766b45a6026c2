import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  AttributeTable,
  be16,
  binary,
  nested,
  required,
  s32,
  text,
  u16,
  u32,
  u64,
  u8,
  type Codec,
} from './attributes.ts'
import { MessageWriter } from './message-writer.ts'

type Row = {
  readonly name: string
  readonly codec: Codec<unknown>
  /** Value and its attribute, written and read. */
  readonly good: readonly (readonly [unknown, string])[]
  /** Values that must not be written. */
  readonly refused: readonly unknown[]
  /** Payloads that must not be read. */
  readonly malformed: readonly string[]
}

const inner = new AttributeTable({ a: { number: 1, codec: u8 }, b: { number: 2, codec: u32 } })

const rows: readonly Row[] = [
  {
    name: 'u8',
    codec: u8,
    good: [[0x7f, '050001007f000000']],
    refused: [],
    malformed: ['', '0102'],
  },
  {
    name: 'u16',
    codec: u16,
    good: [[0x0102, '0600010002010000']],
    refused: [-1, 65_536],
    malformed: ['01', '010203'],
  },
  {
    name: 'be16',
    codec: be16,
    good: [[80, '0600010000500000']],
    refused: [-1, 65_536],
    malformed: ['01', '01020304'],
  },
  {
    name: 'u32',
    codec: u32,
    good: [
      [1, '0800010001000000'],
      [0xffff_ffff, '08000100ffffffff'],
    ],
    refused: [-1, 2 ** 32],
    malformed: ['010203'],
  },
  {
    name: 's32',
    codec: s32,
    good: [[-2, '08000100feffffff']],
    refused: [2 ** 31],
    malformed: ['01'],
  },
  {
    name: 'u64',
    codec: u64,
    good: [[2n ** 63n, '0c0001000000000000000080']],
    refused: [-1n],
    malformed: ['01020304'],
  },
  {
    name: 'text',
    codec: text,
    good: [
      ['wrr', '0800010077727200'],
      ['', '0500010000000000'],
    ],
    refused: [],
    malformed: [],
  },
  {
    name: 'binary',
    codec: binary,
    good: [[new Uint8Array([10, 0, 0, 1]), '080001000a000001']],
    refused: [],
    malformed: [],
  },
  {
    name: 'nested',
    codec: nested(inner),
    good: [[{ a: 1, b: 2 }, '14000180050001000100000008000200' + '02000000']],
    refused: [{ b: -1 }],
    malformed: ['0500', '0300010000000000', '0900010001000000'],
  },
]

for (const { name, codec, good, refused, malformed } of rows) {
  const table = new AttributeTable({ value: { number: 1, codec } })
  const encode = (value: unknown) => {
    const writer = new MessageWriter(Buffer.alloc(64))
    table.encode(writer, { value })
    return writer.bytes.toString('hex', 0, writer.offset)
  }
  test(`${name}: writes and reads the same bytes`, () => {
    for (const [value, hex] of good) {
      assert.equal(encode(value), hex)
      const bytes = Buffer.from(hex, 'hex')
      assert.deepEqual(table.decode(bytes, 0, bytes.length), { value })
    }
  })
  test(`${name}: refuses what does not fit`, () => {
    for (const value of refused) assert.throws(() => encode(value))
    for (const payload of malformed) {
      const bytes = attribute(1, payload)
      assert.throws(() => table.decode(bytes, 0, bytes.length), { code: 'EBADMSG' })
    }
  })
}

test('skips attributes that the table does not know, and flags of the type', () => {
  const bytes = Buffer.concat([attribute(99, '01'), attribute(0x4002, '2a000000')])
  assert.deepEqual(inner.decode(bytes, 0, bytes.length), { b: 42 })
})

test('refuses attributes that lead out of the message', () => {
  for (const hex of ['ff000100', '03000100', '0000', '00000000']) {
    const bytes = Buffer.from(hex, 'hex')
    assert.throws(() => inner.decode(bytes, 0, bytes.length), { code: 'EBADMSG' })
  }
})

test('reads text that has no NUL, or more than one', () => {
  const table = new AttributeTable({ value: { number: 1, codec: text } })
  for (const payload of ['727200', '7272', '72720000']) {
    const bytes = attribute(1, payload)
    assert.deepEqual(table.decode(bytes, 0, bytes.length), { value: 'rr' })
  }
})

test('names the value that the kernel left out', () => {
  assert.throws(() => required(undefined, 'the weight'), /EBADMSG: the weight is missing/)
})

function attribute(type: number, payload: string): Buffer {
  const body = Buffer.from(payload, 'hex')
  const bytes = Buffer.alloc((4 + body.length + 3) & ~3)
  bytes.writeUInt16LE(4 + body.length, 0)
  bytes.writeUInt16LE(type, 2)
  body.copy(bytes, 4)
  return bytes
}
