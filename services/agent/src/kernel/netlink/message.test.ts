import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NLMSG_DONE, NLMSG_ERROR } from './constants.ts'
import { decodeDone, decodeError, eachMessage, type NetlinkMessage } from './message.ts'

/** Header: length, type, flags, sequence 7, port 9. */
function message(type: number, flags: number, payload: string): Buffer {
  const body = Buffer.from(payload, 'hex')
  const bytes = Buffer.alloc((16 + body.length + 3) & ~3)
  bytes.writeUInt32LE(16 + body.length, 0)
  bytes.writeUInt16LE(type, 4)
  bytes.writeUInt16LE(flags, 6)
  bytes.writeUInt32LE(7, 8)
  bytes.writeUInt32LE(9, 12)
  body.copy(bytes, 16)
  return bytes
}

function messages(bytes: Buffer): NetlinkMessage[] {
  const found: NetlinkMessage[] = []
  eachMessage(bytes, (one) => found.push(one))
  return found
}

function only(bytes: Buffer): NetlinkMessage {
  const [first] = messages(bytes)
  assert(first !== undefined)
  return first
}

test('finds every message of a datagram, padded ones too', () => {
  const bytes = Buffer.concat([message(20, 2, 'aabbccddee'), message(3, 0, '00000000')])
  assert.deepEqual(
    messages(bytes).map(({ type, flags, sequence, portId, start, end }) => [
      type,
      flags,
      sequence,
      portId,
      bytes.toString('hex', start, end),
    ]),
    [
      [20, 2, 7, 9, 'aabbccddee'],
      [3, 0, 7, 9, '00000000'],
    ],
  )
})

test('refuses datagrams whose lengths do not fit', () => {
  for (const hex of ['10000000', '0f000000' + '00'.repeat(12), 'ff000000' + '00'.repeat(12)]) {
    assert.throws(() => messages(Buffer.from(hex, 'hex')), { code: 'EBADMSG' })
  }
})

const echo = '20000000' + '1400' + '0504' + '07000000' + '00000000'
const text = '0f000100' + Buffer.from('no gateway\0').toString('hex') + '00'
const rows = [
  { name: 'an ack', flags: 0x100, payload: `00000000${echo}`, want: undefined },
  {
    name: 'a bare refusal',
    flags: 0x100,
    payload: `fdffffff${echo}`,
    want: { code: 'ESRCH', message: 'no such virtual service' },
  },
  {
    name: "the kernel's own words behind a cut request",
    flags: 0x300,
    payload: `eaffffff${echo}${text}`,
    want: { code: 'EINVAL', message: 'no gateway' },
  },
  {
    name: "the kernel's own words behind a whole request",
    flags: 0x200,
    payload: `eaffffff${echo}${'00'.repeat(16)}${text}`,
    want: { code: 'EINVAL', message: 'no gateway' },
  },
  {
    name: 'words behind other attributes',
    flags: 0x300,
    payload: `eaffffff${echo}${'0800020010000000'}${text}`,
    want: { code: 'EINVAL', message: 'no gateway' },
  },
  {
    name: 'malformed words are no words',
    flags: 0x300,
    payload: `eaffffff${echo}ffff0100`,
    want: { code: 'EINVAL', message: 'refused as invalid' },
  },
  {
    name: 'an error number of the kernel alone',
    flags: 0x100,
    payload: `f4fdffff${echo}`,
    want: { code: 'ENOTSUP', message: 'not supported by this kernel' },
  },
  {
    name: 'an error number without a name',
    flags: 0x100,
    payload: `18fcffff${echo}`,
    want: { code: 'E1000', message: 'refused by the kernel' },
  },
]
for (const { name, flags, payload, want } of rows) {
  test(`reads ${name}`, () => {
    assert.deepEqual(decodeError(only(message(NLMSG_ERROR, flags, payload))), want)
  })
}

test('a dump that ends well has no failure; one that failed on the way has', () => {
  assert.equal(decodeDone(only(message(NLMSG_DONE, 2, '00000000'))), undefined)
  assert.equal(decodeDone(only(message(NLMSG_DONE, 2, ''))), undefined)
  assert.deepEqual(decodeDone(only(message(NLMSG_DONE, 2, 'f4ffffff'))), {
    code: 'ENOMEM',
    message: 'out of memory',
  })
})

test('refuses an answer without its error number', () => {
  assert.throws(() => decodeError(only(message(NLMSG_ERROR, 0, '0000'))), { code: 'EBADMSG' })
})
