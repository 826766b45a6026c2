/** Overheads, MSS and least outer MTU: the figures that were measured with packets, per tunnel and family. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describeTunnel, type Tunnel } from '@lvs-fleet/contract'
import { innerMtu, IPV6_MIN_MTU, mssFor } from './mtu.ts'

const ROWS: {
  tunnel: Tunnel
  /** Over IPv4, over IPv6. */
  overhead: [number, number]
  /** At a path MTU of 1500: v4 in v4, v4 in v6, v6 in v4, v6 in v6. */
  mss: [number, number, number, number]
  leastOuterIpv6: number
}[] = [
  {
    tunnel: { type: 'ipip' },
    overhead: [20, 40],
    mss: [1440, 1420, 1420, 1400],
    leastOuterIpv6: 1320,
  },
  {
    tunnel: { type: 'gre', checksum: false },
    overhead: [24, 44],
    mss: [1436, 1416, 1416, 1396],
    leastOuterIpv6: 1324,
  },
  {
    tunnel: { type: 'gre', checksum: true },
    overhead: [28, 48],
    mss: [1432, 1412, 1412, 1392],
    leastOuterIpv6: 1328,
  },
  {
    tunnel: { type: 'gue', port: 6080, checksum: 'none' },
    overhead: [32, 52],
    mss: [1428, 1408, 1408, 1388],
    leastOuterIpv6: 1332,
  },
  {
    tunnel: { type: 'gue', port: 6080, checksum: 'csum' },
    overhead: [32, 52],
    mss: [1428, 1408, 1408, 1388],
    leastOuterIpv6: 1332,
  },
  {
    tunnel: { type: 'gue', port: 6080, checksum: 'remcsum' },
    overhead: [40, 60],
    mss: [1420, 1400, 1400, 1380],
    leastOuterIpv6: 1340,
  },
]

describe('what a tunnel costs', () => {
  for (const { tunnel, overhead, mss, leastOuterIpv6 } of ROWS) {
    it(describeTunnel(tunnel), () => {
      const [over4, over6] = [innerMtu(1500, tunnel, 'ipv4'), innerMtu(1500, tunnel, 'ipv6')]
      assert.deepEqual([1500 - over4, 1500 - over6], overhead)
      assert.deepEqual(
        [
          mssFor(over4, 'ipv4'),
          mssFor(over6, 'ipv4'),
          mssFor(over4, 'ipv6'),
          mssFor(over6, 'ipv6'),
        ],
        mss,
      )
      assert.equal(innerMtu(leastOuterIpv6, tunnel, 'ipv6'), IPV6_MIN_MTU)
    })
  }
})
