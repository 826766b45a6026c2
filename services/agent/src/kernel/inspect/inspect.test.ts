/** Answers of the kernel, byte by byte, as the doctor reads them (include/uapi/linux/{neighbour,ethtool_netlink}.h). */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { NetlinkMessage } from '../netlink/message.ts'
import { decodeNeighbour } from './neighbours.ts'
import { decodeFeatures } from './offloads.ts'

/** The payload alone; nothing here looks at the header. */
function message(...parts: readonly string[]): NetlinkMessage {
  const bytes = Buffer.from(parts.join('').replaceAll(' ', ''), 'hex')
  return { type: 0, flags: 0, sequence: 0, portId: 0, bytes, start: 0, end: bytes.length }
}

describe('a neighbour', () => {
  const ADDRESS = '0800 0100 0a010064'
  const ROWS: { name: string; parts: string[]; want: ReturnType<typeof decodeNeighbour> }[] = [
    {
      name: 'that answered (NUD_REACHABLE)',
      parts: ['02 00 0000 03000000 0200 00 01', ADDRESS, '0a00 0200 020000000109 0000'],
      want: neighbour({ mac: '02:00:00:00:01:09' }),
    },
    {
      name: 'that is asked (NUD_INCOMPLETE)',
      parts: ['02 00 0000 03000000 0100 00 01', ADDRESS],
      want: neighbour({}),
    },
    {
      name: 'that did not answer (NUD_FAILED)',
      parts: ['02 00 0000 03000000 2000 00 01', ADDRESS],
      want: neighbour({ failed: true }),
    },
    { name: 'of a bridge (AF_BRIDGE)', parts: ['07 00 0000 03000000 0200 00 01'], want: undefined },
  ]
  for (const { name, parts, want } of ROWS) {
    it(name, () => assert.deepEqual(decodeNeighbour(message(...parts)), want))
  }
  it('that is cut is refused', () => {
    assert.throws(() => decodeNeighbour(message('02 00 0000')), /a neighbour header is cut/)
  })

  function neighbour(fields: object) {
    const plain = { linkIndex: 3, failed: false, mac: null }
    return { address: '10.1.0.100', ...plain, ...fields } as ReturnType<typeof decodeNeighbour>
  }
})

describe('offloads of an interface', () => {
  const HEADER = '0b 01 0000'
  /** ETHTOOL_A_FEATURES_HEADER with ETHTOOL_A_HEADER_DEV_INDEX 2. */
  const DEVICE = '0c00 0180 0800 0100 02000000'
  /** ETHTOOL_A_BITSET_NOMASK and _SIZE 64. */
  const NO_MASK = '0400 0100 0800 0200 40000000'
  const LRO = '1800 0180 0800 0100 0f000000 0b00 0200 72782d6c726f00 00'
  const GRO = '1800 0180 0800 0100 0e000000 0b00 0200 72782d67726f00 00'

  it('all that are on, by name', () => {
    // Lengths: bits 4 + 2 × 24, the bitset 4 + 12 + 52.
    const active = `4400 0480 ${NO_MASK} 3400 0380 ${GRO} ${LRO}`
    const [index, names] = decodeFeatures(message(HEADER, DEVICE, active))
    assert.deepEqual([index, [...names]], [2, ['rx-gro', 'rx-lro']])
  })

  it('none', () => {
    const [index, names] = decodeFeatures(message(HEADER, DEVICE, `1000 0480 ${NO_MASK}`))
    assert.deepEqual([index, [...names]], [2, []])
  })
})
