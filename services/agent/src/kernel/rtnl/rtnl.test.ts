import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip, type DeviceState } from '@lvs-fleet/contract'
import { MessageWriter } from '../netlink/message-writer.ts'
import type { NetlinkMessage } from '../netlink/message.ts'
import { addAddress, decodeAddress, removeAddress } from './addresses.ts'
import { createDevice, decodeLink, endsFit, removeLink, updateDevice } from './links.ts'

function written(write: (writer: MessageWriter) => void): string {
  const writer = new MessageWriter(Buffer.alloc(1024))
  write(writer)
  return writer.bytes.toString('hex', 0, writer.offset)
}
function received(hex: string): NetlinkMessage {
  const bytes = Buffer.from(hex, 'hex')
  return { type: 16, flags: 2, sequence: 1, portId: 0, bytes, start: 0, end: bytes.length }
}
const port = '00'.repeat(8)
const up = '0000000000000000' + '0100000001000000'
const tunnelEnds = '080002000a010010' + '080003000a020021' + '0500040040000000'
/** Flags of what comes in (GRE_CSUM is the first bit in network order), ends, TTL 64. */
const greEnds = (flags: string) =>
  `06000200${flags}0000` + '080006000a010010' + '080007000a020021' + '0500080040000000'
const v6 = (last: string) => `fd00${'00'.repeat(13)}${last}`

const created: readonly { readonly device: DeviceState; readonly hex: string }[] = [
  {
    device: { name: 'lvsf-d', kind: 'dummy' },
    hex:
      `3c00000010000106${port}${up}` +
      '0b0003006c7673662d640000' + // the name
      '10001280' +
      '0a00010064756d6d79000000', // kind dummy
  },
  {
    device: { name: 'lvsf-1', kind: 'ipip', local: ip('10.1.0.16'), remote: ip('10.2.0.33') },
    hex:
      `5800000010000106${port}${up}` +
      '0b0003006c7673662d310000' +
      '2c001280' +
      '0900010069706970' +
      '00000000' +
      '1c000280' +
      tunnelEnds,
  },
  {
    device: { name: 'lvsf-2', kind: 'sit', local: ip('10.1.0.16'), remote: ip('10.2.0.33') },
    hex:
      `5400000010000106${port}${up}` +
      '0b0003006c7673662d320000' +
      '28001280' +
      '0800010073697400' +
      '1c000280' +
      tunnelEnds,
  },
  {
    device: { name: 'lvsf-3', kind: 'ip6tnl', local: ip('fd00::1'), remote: ip('fd00::2') },
    hex:
      `8800000010000106${port}${up}` +
      '0b0003006c7673662d330000' +
      '5c001280' +
      '0b000100697036746e6c0000' +
      '4c000280' +
      `14000200${v6('01')}14000300${v6('02')}0500040040000000` +
      '0500060000000000' +
      '0800080001000000' +
      '0500090000000000',
  },
  {
    device: {
      name: 'lvsf-4',
      kind: 'gre',
      local: ip('10.1.0.16'),
      remote: ip('10.2.0.33'),
      checksum: false,
    },
    hex:
      `5c00000010000106${port}${up}` +
      '0b0003006c7673662d340000' +
      '30001280' +
      '0800010067726500' +
      `24000280${greEnds('0000')}`,
  },
  {
    device: {
      name: 'lvsf-5',
      kind: 'ip6gre',
      local: ip('fd00::1'),
      remote: ip('fd00::2'),
      checksum: true,
    },
    hex:
      `8800000010000106${port}${up}` +
      '0b0003006c7673662d350000' +
      '5c001280' +
      '0b000100697036677265' +
      '0000' +
      '4c000280' +
      '0600020080000000' +
      `14000600${v6('01')}14000700${v6('02')}0500080040000000` +
      '05000b0000000000' +
      '08000d0001000000',
  },
]
for (const { device, hex } of created) {
  test(`creates ${device.kind}${'checksum' in device && device.checksum ? ' with checksum' : ''}, up from the start`, () => {
    assert.equal(
      written((writer) => createDevice(writer, device)),
      hex,
    )
  })
}

test('edits the checksum of a gre device by its index, all its settings along', () => {
  const ends = { local: ip('10.1.0.16'), remote: ip('10.2.0.33') }
  const device: DeviceState = { name: 'lvsf-4', kind: 'gre', ...ends, checksum: true }
  const hex =
    `5000000010000100${port}0000000007000000${'00'.repeat(8)}` +
    `30001280${'0800010067726500'}24000280${greEnds('8000')}`
  assert.equal(
    written((writer) => updateDevice(writer, device, 7)),
    hex,
  )
})

test('knows which family a tunnel travels over', () => {
  const four = { local: ip('10.1.0.16'), remote: ip('10.2.0.33') }
  const six = { local: ip('fd00::1'), remote: ip('fd00::2') }
  const fits = (kind: 'gre' | 'ip6gre', ends: typeof four) =>
    endsFit({ name: 'x', kind, ...ends, checksum: false })
  assert.deepEqual(
    [fits('gre', four), fits('gre', six), fits('ip6gre', four), fits('ip6gre', six)],
    [true, false, false, true],
  )
})

test('removes a link by its index', () => {
  const hex = `2000000011000100${port}0000000007000000${'00'.repeat(8)}`
  assert.equal(
    written((writer) => removeLink(writer, 7)),
    hex,
  )
})

test('adds and removes IPv4 with the full prefix', () => {
  const body = '02200000' + '05000000' + '080001000a010064' + '080002000a010064'
  assert.equal(
    written((writer) => addAddress(writer, ip('10.1.0.100'), 5)),
    `2800000014000106${port}${body}`,
  )
  assert.equal(
    written((writer) => removeAddress(writer, ip('10.1.0.100'), 5)),
    `2800000015000100${port}${body}`,
  )
})

test('adds IPv6 without duplicate detection and deprecated for ever', () => {
  const body = '0a800000' + '05000000' + `14000100${v6('64')}14000200${v6('64')}`
  const cacheInfo = '14000600' + '00000000' + 'ffffffff' + '0000000000000000'
  assert.equal(
    written((writer) => addAddress(writer, ip('fd00::64'), 5)),
    `5c00000014000106${port}${body}${cacheInfo}0800080002000000`,
  )
  assert.equal(
    written((writer) => removeAddress(writer, ip('fd00::64'), 5)),
    `4000000015000100${port}${body}`,
  )
})

test('reads links, with the ends of tunnels', () => {
  const header = '0000000305000000' + 'c100010000000000'
  const name = '09000300657468300000000'.padEnd(24, '0')
  assert.deepEqual(decodeLink(received(`${header}${name}08000400dc050000`)), {
    index: 5,
    name: 'eth0',
    kind: '',
    up: true,
    mtu: 1500,
    local: null,
    remote: null,
    checksum: false,
  })
  const any = '14001280' + '0800010073697400' + '08000280'
  assert.throws(() => decodeLink(received(`${header}${name}${any}`)), { code: 'EBADMSG' })
  const sit = '20001280' + '0800010073697400' + '14000280' + '080002000a010010' + '0800030000000000'
  assert.partialDeepStrictEqual(decodeLink(received(`${header}${name}${sit}`)), {
    kind: 'sit',
    local: '10.1.0.16',
    remote: null,
  })
  const gre = `30001280${'0800010067726500'}24000280`
  for (const [flags, checksum] of [
    ['0000', false],
    ['8000', true],
    // A key is not a checksum.
    ['2000', false],
  ] as const) {
    const row = decodeLink(received(`${header}${name}${gre}${greEnds(flags)}`))
    const want = { kind: 'gre', local: '10.1.0.16', remote: '10.2.0.33', checksum }
    assert.partialDeepStrictEqual(row, want)
  }
})

test('reads addresses: the local end, and whether it is deprecated', () => {
  const row = (header: string, attributes: string) => decodeAddress(received(header + attributes))
  assert.deepEqual(row('02188000' + '02000000', '080001000a010001' + '080002000a010002'), {
    address: '10.1.0.2',
    prefixLength: 24,
    linkIndex: 2,
    deprecated: false,
  })
  const deprecated = `14000100${v6('64')}0800080022000000`
  assert.partialDeepStrictEqual(row('0a800000' + '02000000', deprecated), { deprecated: true })
  const preferred0 = `14000100${v6('64')}14000600${'00000000ffffffff'}${'00'.repeat(8)}`
  assert.partialDeepStrictEqual(row('0a800000' + '02000000', preferred0), { deprecated: true })
  const preferred = `14000100${v6('64')}14000600${'ffffffffffffffff'}${'00'.repeat(8)}`
  assert.partialDeepStrictEqual(row('0a800000' + '02000000', preferred), { deprecated: false })
  assert.equal(row('07000000' + '02000000', ''), undefined, 'another family')
})

test('refuses links and addresses that are cut', () => {
  assert.throws(() => decodeLink(received('0000')), { code: 'EBADMSG' })
  assert.throws(() => decodeAddress(received('0200')), { code: 'EBADMSG' })
  assert.throws(() => decodeLink(received('00'.repeat(16))), /name of a link is missing/)
  assert.throws(() => decodeAddress(received('0220000002000000')), /the address is missing/)
})
