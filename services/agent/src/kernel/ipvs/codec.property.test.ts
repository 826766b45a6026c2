/** What an op writes is what a dump reads: the kernel keeps these attributes as they are. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  bytesToIp,
  GUE_CHECKSUMS,
  ip,
  FAMILIES,
  PERSISTENCE_ENGINES,
  PROTOCOLS,
  SCHEDULERS,
  SERVICE_FLAGS,
  serviceFamily,
  type DestinationConfig,
  type Family,
  type ServiceConfig,
  type ServiceRef,
} from '@lvs-fleet/contract'
import { MessageWriter } from '../netlink/message-writer.ts'
import { eachMessage, type NetlinkMessage } from '../netlink/message.ts'
import { decodeDestination, decodeService } from './decode.ts'
import { IpvsEncoder, type IpvsOp } from './encode.ts'

const address = fc
  .oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  )
  .map(bytesToIp)
const port = fc.integer({ min: 1, max: 65_535 })
const service: fc.Arbitrary<ServiceRef> = fc.oneof(
  fc.record({ protocol: fc.constantFrom(...PROTOCOLS), address, port }),
  fc.record({
    protocol: fc.constant('fwmark' as const),
    firewallMark: fc.integer({ min: 1, max: 0xffff_ffff }),
    family: fc.constantFrom(...FAMILIES),
  }),
)
const serviceConfig = (family: Family): fc.Arbitrary<ServiceConfig> =>
  fc.record({
    scheduler: fc.constantFrom(...SCHEDULERS),
    flags: fc.subarray([...SERVICE_FLAGS]),
    persistence: fc.option(
      fc.record({
        timeoutSeconds: fc.integer({ min: 1, max: 86_400 * 31 }),
        prefixLength: fc.integer({ min: 1, max: family === 'ipv4' ? 32 : 128 }),
        engine: fc.constantFrom(null, ...PERSISTENCE_ENGINES),
      }),
    ),
  })
const destinationConfig: fc.Arbitrary<DestinationConfig> = fc.record({
  forwarding: fc.constantFrom(
    { method: 'nat' } as const,
    { method: 'dr' } as const,
    { method: 'local' } as const,
    { method: 'tun', tunnel: { type: 'ipip' } } as const,
    { method: 'tun', tunnel: { type: 'gre', checksum: false } } as const,
    { method: 'tun', tunnel: { type: 'gre', checksum: true } } as const,
    ...GUE_CHECKSUMS.map((checksum) => ({
      method: 'tun' as const,
      tunnel: { type: 'gue' as const, port: 6080, checksum },
    })),
  ),
  weight: fc.integer({ min: 0, max: 65_535 }),
  upperThreshold: fc.nat(),
  lowerThreshold: fc.nat(),
})

function sent(op: IpvsOp): NetlinkMessage {
  const writer = new MessageWriter(Buffer.alloc(1024))
  new IpvsEncoder(28).op(writer, op)
  let found: NetlinkMessage | undefined
  eachMessage(writer.bytes.subarray(0, writer.offset), (message) => (found = message))
  assert(found !== undefined)
  return found
}

test('services survive the way to the kernel and back', () => {
  const given = service.chain((key) =>
    fc.tuple(fc.constant(key), serviceConfig(serviceFamily(key))),
  )
  fc.assert(
    fc.property(given, ([key, to]) => {
      const decoded = decodeService(sent({ kind: 'service.create', service: key, to }))
      assert.partialDeepStrictEqual(decoded, { ...key, ...to, exact: true })
    }),
  )
})

test('destinations survive the way to the kernel and back', () => {
  fc.assert(
    fc.property(service, fc.record({ address, port }), destinationConfig, (key, rip, to) => {
      const op = { kind: 'destination.create', service: key, destination: rip, to } as const
      assert.partialDeepStrictEqual(decodeDestination(sent(op)), { ...rip, ...to, exact: true })
    }),
  )
})

test('what one op is like never shows in the next, though runs of them share bytes', () => {
  // Few of each, so that neighbours are alike in some ways and not in others.
  const config = fc.record({
    forwarding: destinationConfig.map(({ forwarding }) => forwarding),
    weight: fc.constantFrom(0, 1),
    upperThreshold: fc.constantFrom(0, 9),
    lowerThreshold: fc.constantFrom(0, 3),
  })
  const few = fc.constantFrom(...['10.2.0.1', '10.2.0.2', 'fd02::1'].map(ip))
  const op = fc.record({
    kind: fc.constant('destination.create' as const),
    service: fc.record({
      protocol: fc.constantFrom(...PROTOCOLS),
      address: few,
      port: fc.constantFrom(80, 81),
    }),
    destination: fc.record({ address: few, port: fc.constantFrom(80, 81) }),
    to: config,
  })
  fc.assert(
    fc.property(fc.array(op, { minLength: 2, maxLength: 12 }), (ops) => {
      const writer = new MessageWriter(Buffer.alloc(8_192))
      const encoder = new IpvsEncoder(28)
      for (const one of ops) encoder.op(writer, one)
      const alone = ops.map((one) => {
        const own = new MessageWriter(Buffer.alloc(1024))
        new IpvsEncoder(28).op(own, one)
        return own.bytes.subarray(0, own.offset)
      })
      assert.deepEqual(writer.bytes.subarray(0, writer.offset), Buffer.concat(alone))
    }),
  )
})

test('no bytes from a kernel do worse than EBADMSG', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (junk) => {
      const bytes = Buffer.from(junk)
      for (const decode of [decodeService, decodeDestination]) {
        try {
          decode({ type: 28, flags: 0, sequence: 0, portId: 0, bytes, start: 0, end: bytes.length })
        } catch (error) {
          assert.equal(error instanceof Error && 'code' in error ? error.code : error, 'EBADMSG')
        }
      }
    }),
    { numRuns: 1000 },
  )
})
