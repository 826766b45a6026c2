import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  describeTunnel,
  ip,
  type DestinationConfig,
  type EndpointRef,
  type ServiceConfig,
  type ServiceRef,
  type Tunnel,
} from '@lvs-fleet/contract'
import { MessageWriter } from '../netlink/message-writer.ts'
import { IpvsEncoder, type IpvsOp } from './encode.ts'

const web: EndpointRef = { protocol: 'tcp', address: ip('10.1.0.100'), port: 80 }
const dns: ServiceRef = { protocol: 'udp', address: ip('fd01::100'), port: 53 }
const mark: ServiceRef = { protocol: 'fwmark', firewallMark: 0xffff_ffff, family: 'ipv4' }
const plain: ServiceConfig = { scheduler: 'wrr', flags: [], persistence: null }
const nat: DestinationConfig = {
  forwarding: { method: 'nat' },
  weight: 1,
  upperThreshold: 0,
  lowerThreshold: 0,
}

/** Family 28 = 1c, request flag; sequence and port stay 0. */
const header = (length: string, command: string) =>
  `${length}1c000100${'00'.repeat(8)}${command}010000`
const webKey = '06000100020000000600020006000000080003000a0100640600040000500000'
/** IPVS_SVC_ATTR_AF and IPVS_SVC_ATTR_FWMARK, and nothing else. */
const markKey = '060001000200000008000500ffffffff'
const dnsKey =
  '060001000a000000060002001100000014000300fd0100000000000000000000000001000600040000350000'
const plainConfig = (netmask: string) =>
  `0800060077727200${'0c00070000000000ffffffff'}${'0800080000000000'}08000900${netmask}`
const destinationKey = '080001000a020015060002000050000006000b0002000000'
/** Destination attributes go out in the order of their numbers. */
const natDestination =
  '080001000a0200150600020000500000' +
  '0800030000000000' +
  '0800040001000000' +
  '0800050000000000' +
  '0800060000000000' +
  '06000b0002000000' +
  '05000d0000000000' +
  '06000e0000000000' +
  '06000f0000000000'
const rip = { address: ip('10.2.0.21'), port: 80 }

const rows: readonly { readonly op: IpvsOp; readonly hex: string }[] = [
  {
    op: { kind: 'service.create', service: web, to: plain },
    hex: header('5c000000', '01') + `48000180${webKey}${plainConfig('ffffffff')}`,
  },
  {
    op: { kind: 'service.update', service: dns, from: plain, to: plain },
    hex: header('68000000', '02') + `54000180${dnsKey}${plainConfig('80000000')}`,
  },
  {
    op: { kind: 'service.remove', service: web },
    hex: header('38000000', '03') + `24000180${webKey}`,
  },
  {
    op: { kind: 'service.create', service: mark, to: plain },
    hex: header('4c000000', '01') + `38000180${markKey}${plainConfig('ffffffff')}`,
  },
  {
    op: { kind: 'service.remove', service: { ...mark, family: 'ipv6' } },
    hex: header('28000000', '03') + '14000180' + '060001000a00000008000500ffffffff',
  },
  {
    op: { kind: 'service.remove', service: { ...web, protocol: 'sctp' } },
    hex:
      header('38000000', '03') +
      '24000180' +
      '0600010002000000060002008400000008000300' +
      '0a0100640600040000500000',
  },
  {
    op: { kind: 'destination.create', service: web, destination: rip, to: nat },
    hex: header('8c000000', '05') + `24000180${webKey}` + `54000280${natDestination}`,
  },
  {
    op: { kind: 'destination.update', service: web, destination: rip, from: nat, to: nat },
    hex: header('8c000000', '06') + `24000180${webKey}` + `54000280${natDestination}`,
  },
  {
    op: { kind: 'destination.remove', service: web, destination: rip },
    hex: header('54000000', '07') + `24000180${webKey}` + `1c000280${destinationKey}`,
  },
]

function encode(ops: readonly IpvsOp[]): string {
  const encoder = new IpvsEncoder(28)
  const writer = new MessageWriter(Buffer.alloc(4096))
  for (const op of ops) encoder.op(writer, op)
  return writer.bytes.toString('hex', 0, writer.offset)
}

for (const { op, hex } of rows) {
  test(`encodes ${op.kind}`, () => assert.equal(encode([op]), hex))
}

test('remembers the service key only as long as the service is the same', () => {
  const mixed = [0, 3, 5, 1, 3, 2].flatMap((index) => rows[index] ?? [])
  assert.equal(encode(mixed.map(({ op }) => op)), mixed.map(({ hex }) => hex).join(''))
  const others: readonly ServiceRef[] = [
    web,
    { ...web, port: 81 },
    { ...web, protocol: 'udp' },
    { ...web, address: ip('10.1.0.101') },
    mark,
    { ...mark, family: 'ipv6' },
    { ...mark, firewallMark: 1 },
    web,
  ]
  const ops = others.map((service) => ({ kind: 'service.remove', service }) as const)
  assert.equal(encode(ops), ops.map((op) => encode([op])).join(''))
})

const settings: readonly {
  readonly name: string
  readonly to: ServiceConfig
  readonly hex: string
}[] = [
  {
    name: 'flags',
    to: { ...plain, flags: ['fallback', 'one-packet', 'port'] },
    hex: '0c0007001c000000ffffffff' + '0800080000000000' + '08000900ffffffff',
  },
  {
    name: 'persistence',
    to: { ...plain, persistence: { timeoutSeconds: 300, prefixLength: 24, engine: null } },
    hex: '0c00070001000000ffffffff' + '080008002c010000' + '08000900ffffff00',
  },
  {
    name: 'a persistence engine',
    to: { ...plain, persistence: { timeoutSeconds: 300, prefixLength: 24, engine: 'sip' } },
    hex: '0c00070001000000ffffffff' + '080008002c010000' + '08000900ffffff00' + '08000b0073697000',
  },
  {
    name: 'persistence by every bit',
    to: { ...plain, persistence: { timeoutSeconds: 1, prefixLength: 32, engine: null } },
    hex: '0c00070001000000ffffffff' + '0800080001000000' + '08000900ffffffff',
  },
  {
    name: 'persistence by one bit',
    to: { ...plain, persistence: { timeoutSeconds: 1, prefixLength: 1, engine: null } },
    hex: '0c00070001000000ffffffff' + '0800080001000000' + '0800090080000000',
  },
]
for (const { name, to, hex } of settings) {
  test(`encodes ${name}`, () => {
    const bytes = encode([{ kind: 'service.create', service: web, to }])
    assert.equal(bytes.slice(-hex.length), hex)
  })
}

const methods: readonly (readonly [DestinationConfig['forwarding'], string])[] = [
  [{ method: 'nat' }, '00'],
  [{ method: 'local' }, '01'],
  [{ method: 'tun', tunnel: { type: 'ipip' } }, '02'],
  [{ method: 'dr' }, '03'],
]
/** IPVS_DEST_ATTR_TUN_TYPE (u8), _TUN_PORT (network order), _TUN_FLAGS (u16), 13 to 15. */
const tunnels: readonly (readonly [Tunnel, string])[] = [
  [{ type: 'ipip' }, '05000d0000000000' + '06000e0000000000' + '06000f0000000000'],
  [{ type: 'gre', checksum: false }, '05000d0002000000' + '06000e0000000000' + '06000f0000000000'],
  [{ type: 'gre', checksum: true }, '05000d0002000000' + '06000e0000000000' + '06000f0001000000'],
  [
    { type: 'gue', port: 6080, checksum: 'none' },
    '05000d0001000000' + '06000e0017c00000' + '06000f0000000000',
  ],
  [
    { type: 'gue', port: 6080, checksum: 'csum' },
    '05000d0001000000' + '06000e0017c00000' + '06000f0001000000',
  ],
  [
    { type: 'gue', port: 1, checksum: 'remcsum' },
    '05000d0001000000' + '06000e0000010000' + '06000f0002000000',
  ],
]
for (const [tunnel, hex] of tunnels) {
  test(`encodes ${describeTunnel(tunnel)}, new and in place`, () => {
    const to = { ...nat, forwarding: { method: 'tun', tunnel } } as const
    for (const kind of ['destination.create', 'destination.update'] as const) {
      const bytes = encode([{ kind, service: web, destination: rip, from: nat, to }])
      assert(bytes.includes('0800030002000000'), 'the method')
      assert.equal(bytes.slice(-hex.length), hex)
    }
  })
}
for (const [forwarding, number] of methods) {
  test(`encodes forwarding by ${forwarding.method}`, () => {
    const to = { ...nat, forwarding }
    const hex = encode([{ kind: 'destination.create', service: web, destination: rip, to }])
    assert(hex.includes(`08000300${number}000000`))
  })
}
