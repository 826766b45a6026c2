import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Tunnel } from '@lvs-fleet/contract'
import { MessageWriter } from '../netlink/message-writer.ts'
import type { NetlinkMessage } from '../netlink/message.ts'
import {
  AF_INET,
  AF_INET6,
  COMMAND,
  IPPROTO_TCP,
  type DestinationAttributes,
  type ServiceAttributes,
} from './constants.ts'
import { decodeDestination, decodeService } from './decode.ts'

function message(values: {
  service?: ServiceAttributes
  destination?: DestinationAttributes
}): NetlinkMessage {
  const writer = new MessageWriter(Buffer.alloc(1024))
  writer.u32(0)
  COMMAND.encode(writer, values)
  const end = writer.offset
  return { type: 28, flags: 2, sequence: 1, portId: 0, bytes: writer.bytes, start: 0, end }
}

const v4 = Buffer.from('0a010064000000000000000000000000', 'hex')
const service: ServiceAttributes = {
  family: AF_INET,
  protocol: IPPROTO_TCP,
  address: v4,
  port: 80,
  scheduler: 'wrr',
  flags: 2,
  timeoutSeconds: 0,
  netmask: Buffer.from('ffffffff', 'hex'),
}
const destination: DestinationAttributes = {
  family: AF_INET,
  address: v4,
  port: 80,
  forwarding: 0,
  weight: 1,
  upperThreshold: 0,
  lowerThreshold: 0,
}

const services: readonly {
  readonly name: string
  readonly given: ServiceAttributes
  readonly want: unknown
}[] = [
  { name: 'the hashed mark is not a flag', given: {}, want: { flags: [], exact: true } },
  {
    name: 'flags are sorted',
    given: { flags: 0x1e },
    want: { flags: ['fallback', 'one-packet', 'port'], exact: true },
  },
  {
    name: 'a flag without a word',
    given: { flags: 0x28 },
    want: { flags: ['fallback'], exact: false },
  },
  {
    name: 'an engine without persistence',
    given: { persistenceEngine: 'sip' },
    want: { persistence: null, exact: false },
  },
  {
    name: 'the engine of SIP',
    given: { flags: 3, timeoutSeconds: 300, persistenceEngine: 'sip' },
    want: { persistence: { timeoutSeconds: 300, prefixLength: 32, engine: 'sip' }, exact: true },
  },
  {
    name: 'an engine without a word',
    given: { flags: 3, timeoutSeconds: 300, persistenceEngine: 'rtsp' },
    want: { persistence: { timeoutSeconds: 300, prefixLength: 32, engine: null }, exact: false },
  },
  {
    name: 'persistence by an IPv4 mask',
    given: { flags: 3, timeoutSeconds: 300, netmask: Buffer.from('ffff8000', 'hex') },
    want: { persistence: { timeoutSeconds: 300, prefixLength: 17, engine: null }, exact: true },
  },
  {
    name: 'persistence by a mask with a hole',
    given: { flags: 3, timeoutSeconds: 300, netmask: Buffer.from('ff00ff00', 'hex') },
    want: { persistence: { timeoutSeconds: 300, prefixLength: 8, engine: null }, exact: false },
  },
  {
    name: 'persistence by an IPv6 prefix',
    given: {
      family: AF_INET6,
      flags: 3,
      timeoutSeconds: 9,
      netmask: Buffer.from('40000000', 'hex'),
    },
    want: { persistence: { timeoutSeconds: 9, prefixLength: 64, engine: null }, exact: true },
  },
  {
    name: 'a timeout without the persistent flag',
    given: { timeoutSeconds: 300 },
    want: { persistence: null, exact: true },
  },
  {
    name: '64-bit counters',
    given: { stats: { connections: 1n, inBytes: 2n ** 40n } },
    want: {
      stats: { connections: 1n, inPackets: 0n, outPackets: 0n, inBytes: 2n ** 40n, outBytes: 0n },
    },
  },
]
for (const { name, given, want } of services) {
  test(`service: ${name}`, () => {
    const decoded = decodeService(message({ service: { ...service, ...given } }))
    assert.partialDeepStrictEqual(decoded, want)
  })
}

test('services are named by protocol, address and port, or by mark and family', () => {
  const { protocol: _, address: __, port: ___, ...unnamed } = service
  const rows: readonly (readonly [ServiceAttributes, object | undefined])[] = [
    [service, { protocol: 'tcp', address: '10.1.0.100', port: 80 }],
    [
      { ...service, protocol: 132 },
      { protocol: 'sctp', address: '10.1.0.100', port: 80 },
    ],
    [
      { ...unnamed, firewallMark: 0xffff_ffff },
      { protocol: 'fwmark', firewallMark: 0xffff_ffff, family: 'ipv4' },
    ],
    [
      { ...unnamed, family: AF_INET6, firewallMark: 7 },
      { protocol: 'fwmark', firewallMark: 7, family: 'ipv6' },
    ],
    // From the future: nobody's but counted.
    [{ ...service, protocol: 33 }, undefined],
  ]
  for (const [given, want] of rows) {
    const decoded = decodeService(message({ service: given }))
    if (want === undefined) assert.equal(decoded, undefined)
    else assert.partialDeepStrictEqual(decoded, want)
  }
})

const tun = (tunnel: Tunnel) => ({ method: 'tun', tunnel })

const destinations: readonly {
  readonly name: string
  readonly given: DestinationAttributes
  readonly want: unknown
}[] = [
  { name: 'masquerading is nat', given: {}, want: { forwarding: { method: 'nat' }, exact: true } },
  {
    name: 'local',
    given: { forwarding: 1 },
    want: { forwarding: { method: 'local' }, exact: true },
  },
  {
    name: 'a tunnel is ipip where the kernel says nothing else',
    given: { forwarding: 2 },
    want: { forwarding: { method: 'tun', tunnel: { type: 'ipip' } }, exact: true },
  },
  { name: 'direct routing', given: { forwarding: 3 }, want: { forwarding: { method: 'dr' } } },
  {
    name: 'bits beyond the method',
    given: { forwarding: 0x103 },
    want: { forwarding: { method: 'dr' } },
  },
  { name: 'bypass', given: { forwarding: 4 }, want: { exact: false } },
  {
    name: 'gre without a checksum',
    given: { forwarding: 2, tunnelType: 2 },
    want: { forwarding: tun({ type: 'gre', checksum: false }), exact: true },
  },
  {
    name: 'gre with one',
    given: { forwarding: 2, tunnelType: 2, tunnelFlags: 1 },
    want: { forwarding: tun({ type: 'gre', checksum: true }), exact: true },
  },
  {
    name: 'gre with a flag that it has no use for',
    given: { forwarding: 2, tunnelType: 2, tunnelFlags: 2 },
    want: { forwarding: tun({ type: 'gre', checksum: false }), exact: false },
  },
  {
    name: 'gue',
    given: { forwarding: 2, tunnelType: 1, tunnelPort: 6080 },
    want: { forwarding: tun({ type: 'gue', port: 6080, checksum: 'none' }), exact: true },
  },
  {
    name: 'gue with the checksum of udp',
    given: { forwarding: 2, tunnelType: 1, tunnelPort: 6080, tunnelFlags: 1 },
    want: { forwarding: tun({ type: 'gue', port: 6080, checksum: 'csum' }), exact: true },
  },
  {
    name: 'gue with remote checksum offload',
    given: { forwarding: 2, tunnelType: 1, tunnelPort: 6080, tunnelFlags: 2 },
    want: { forwarding: tun({ type: 'gue', port: 6080, checksum: 'remcsum' }), exact: true },
  },
  {
    name: 'gue with both checksums at once',
    given: { forwarding: 2, tunnelType: 1, tunnelPort: 6080, tunnelFlags: 3 },
    want: { exact: false },
  },
  {
    name: 'a tunnel of the future',
    given: { forwarding: 2, tunnelType: 3 },
    want: { exact: false },
  },
  { name: 'ipip with a port', given: { forwarding: 2, tunnelPort: 6080 }, want: { exact: false } },
  { name: 'ipip with flags', given: { forwarding: 2, tunnelFlags: 1 }, want: { exact: false } },
  {
    name: 'a tunnel type left over where the method is another one',
    given: { forwarding: 3, tunnelType: 2 },
    want: { forwarding: { method: 'dr' }, exact: false },
  },
  { name: 'a weight of another user', given: { weight: 65_536 }, want: { weight: 65_536 } },
  {
    name: 'counters',
    given: { activeConnections: 1, inactiveConnections: 2, persistentConnections: 3 },
    want: { activeConnections: 1, inactiveConnections: 2, persistentConnections: 3 },
  },
]
for (const { name, given, want } of destinations) {
  test(`destination: ${name}`, () => {
    const decoded = decodeDestination(message({ destination: { ...destination, ...given } }))
    assert.partialDeepStrictEqual(decoded, want)
  })
}

test('refuses objects that lack what every kernel sends', () => {
  const { weight: _, ...weightless } = destination
  const { address: __, ...homeless } = service
  assert.throws(() => decodeDestination(message({ destination: weightless })), /weight is missing/)
  assert.throws(() => decodeService(message({ service: homeless })), /address is missing/)
  assert.throws(() => decodeService(message({})), /the service is missing/)
  assert.throws(
    () =>
      decodeService(
        message({ service: { ...service, family: AF_INET6, address: v4.subarray(8) } }),
      ),
    /family 10 with 8 bytes/,
  )
})
