/** GUE ports as bytes, and what the port does where the module is missing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip, type GuePortState } from '@lvs-fleet/contract'
import { MessageWriter } from '../netlink/message-writer.ts'
import type { NetlinkMessage } from '../netlink/message.ts'
import { closeGuePort, decodeGuePort, openGuePort } from './gue-ports.ts'

const four: GuePortState = { address: ip('10.2.0.11'), port: 6080 }
const six: GuePortState = { address: ip('fd02::11'), port: 6080 }
const sixBytes = `fd02${'00'.repeat(13)}11`

function written(write: (writer: MessageWriter) => void): string {
  const writer = new MessageWriter(Buffer.alloc(256))
  write(writer)
  return writer.bytes.toString('hex', 0, writer.offset)
}
/** Family 31 = 1f, request flag; sequence and port stay 0; command, version 1. */
const header = (length: string, command: string) =>
  `${length}1f000100${'00'.repeat(8)}${command}010000`

const rows = [
  {
    name: 'opens over IPv4',
    bytes: written((writer) => openGuePort(writer, 31, four)),
    hex:
      header('34000000', '01') +
      '0600010017c00000' + // port, network order
      '0500020002000000' + // AF_INET
      '0500040002000000' + // FOU_ENCAP_GUE
      '080006000a02000b',
  },
  {
    name: 'opens over IPv6',
    bytes: written((writer) => openGuePort(writer, 31, six)),
    hex:
      header('40000000', '01') +
      '0600010017c00000' +
      '050002000a000000' +
      '0500040002000000' +
      `14000700${sixBytes}`,
  },
  {
    name: 'closes by family, port and address',
    bytes: written((writer) => closeGuePort(writer, 31, four)),
    hex: header('2c000000', '02') + '0600010017c00000' + '0500020002000000' + '080006000a02000b',
  },
]
for (const { name, bytes, hex } of rows) test(name, () => assert.equal(bytes, hex))

function received(attributes: string): NetlinkMessage {
  const bytes = Buffer.from(`01010000${attributes}`, 'hex')
  return { type: 31, flags: 2, sequence: 1, portId: 0, bytes, start: 0, end: bytes.length }
}
const port = '0600010017c00000'
const gue = '0500040002000000'
const dumped = [
  {
    name: 'one of ours',
    given: `${port}0500020002000000${gue}080006000a02000b`,
    want: { address: '10.2.0.11', family: 'ipv4', port: 6080, exact: true },
  },
  {
    name: 'one over IPv6',
    given: `${port}050002000a000000${gue}14000700${sixBytes}`,
    want: { address: 'fd02::11', family: 'ipv6', port: 6080, exact: true },
  },
  {
    name: 'one for every address',
    given: `${port}0500020002000000${gue}`,
    want: { address: null, family: 'ipv4', port: 6080, exact: true },
  },
  {
    name: 'plain foo over udp',
    given: `${port}0500020002000000${'0500030004000000'}${'0500040001000000'}`,
    want: { exact: false },
  },
  {
    name: 'one that hears a single sender',
    given: `${port}0500020002000000${gue}080006000a02000b${'080008000a01000a'}06000a0000350000`,
    want: { address: '10.2.0.11', exact: false },
  },
]
for (const { name, given, want } of dumped) {
  test(`reads ${name}`, () => assert.partialDeepStrictEqual(decodeGuePort(received(given)), want))
}
