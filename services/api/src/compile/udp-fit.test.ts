/** Which UDP services are warned about, and that the TCP clamps of compiled real servers are those that were measured. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { edit, twoSites, type FleetText } from '../../../../test/fixtures/two-sites.ts'
import { compileFleet } from './compile.ts'

type Change = (fleet: FleetText) => void

const udp =
  (fields: Record<string, unknown> = {}): Change =>
  (fleet) =>
    edit(fleet, 'virtualServices', 'web-a', { protocol: 'udp', vips: ['10.1.0.100'], ...fields })
const server =
  (fields: Record<string, unknown>): Change =>
  (fleet) => {
    for (const name of ['rs-b1', 'rs-b2']) edit(fleet, 'realServers', name, fields)
  }
/** The same MTU everywhere, between the sites too. */
const everywhere =
  (mtu: number): Change =>
  (fleet) => {
    const cidrs = { a: ['10.1.0.0/24', 'fd01::/64'], b: ['10.2.0.0/24', 'fd02::/64'] }
    edit(fleet, 'sites', 'a', {
      networks: [{ name: 'servers', cidrs: cidrs.a, mtu }],
      paths: [{ to: 'b', mtu }],
    })
    edit(fleet, 'sites', 'b', { networks: [{ name: 'servers', cidrs: cidrs.b, mtu }] })
  }

function warningsOf(...changes: readonly Change[]): { pointer: string; message: string }[] {
  const fleet = twoSites((text) => changes.forEach((change) => change(text)))
  const { problems, warnings } = compileFleet(fleet)
  assert.deepEqual(problems, [])
  return warnings.filter(({ code }) => code === 'udp-mtu')
}

describe('UDP that does not fit a tunnel', () => {
  it('is said with director, real servers, tunnel, bytes and what to do', () => {
    assert.deepEqual(
      warningsOf(udp()).map(({ pointer, message }) => [pointer, message]),
      [
        [
          '/virtualServices/web-a/forwarding',
          'UDP of web-a does not fit from dir-a to rs-b1, rs-b2: ipip over IPv4 leaves 1480 of 1500 bytes, so datagrams of more than 1452 bytes are cut or lost: keep them smaller, carry 1520 bytes between sites a and b (mtu of networks and paths), or take dr or nat',
        ],
      ],
    )
  })

  const ROWS: { name: string; changes: readonly Change[]; want: readonly RegExp[] }[] = [
    { name: 'TCP has an MSS', changes: [udp({ protocol: 'tcp' })], want: [] },
    { name: 'jumbo frames all the way', changes: [udp(), everywhere(9000)], want: [] },
    { name: 'just the bytes that it asked for', changes: [udp(), everywhere(1520)], want: [] },
    {
      name: 'one byte less',
      changes: [udp(), everywhere(1519)],
      want: [/leaves 1499 of 1500 bytes.* 1471 bytes .*carry 1520 bytes/],
    },
    {
      name: 'once, however many ports',
      changes: [udp({ ports: [53, 80, '1000-1009'] })],
      want: [/rs-b1, rs-b2/],
    },
    {
      name: 'once, where ports became a firewall mark',
      changes: [udp({ ports: ['1000-1999'] })],
      want: [/rs-b1, rs-b2/],
    },
    {
      name: 'each family of the VIP is a path of its own',
      changes: [udp({ vips: ['10.1.0.100', 'fd01::100'] })],
      want: [
        /ipip over IPv4 leaves 1480 .* 1452 bytes/,
        /ipip over IPv6 leaves 1460 .* 1412 bytes/,
      ],
    },
    {
      name: 'IPv4 inside IPv6',
      changes: [
        udp(),
        (fleet) => {
          edit(fleet, 'realServers', 'rs-b1', { addresses: ['fd02::11'] })
          edit(fleet, 'realServers', 'rs-b2', { addresses: ['fd02::12'] })
        },
      ],
      want: [/ipip over IPv6 leaves 1460 .* 1432 bytes/],
    },
    {
      name: 'the tunnel with the most around it',
      changes: [udp(), server({ decapsulates: ['gue'], gue: { checksum: 'remcsum' } })],
      want: [/gue 6080 remcsum over IPv4 leaves 1460 .* 1432 bytes .*carry 1540/],
    },
    {
      name: 'a tunnel within the site, where it was asked for',
      changes: [
        udp({ forwarding: 'tun' }),
        (fleet) => edit(fleet, 'pools', 'web', { members: [{ realServer: 'rs-a1' }] }),
      ],
      want: [/rs-a1.* in site a/],
    },
  ]
  for (const { name, changes, want } of ROWS) {
    it(name, () => {
      const messages = warningsOf(...changes).map(({ message }) => message)
      assert.equal(messages.length, want.length, messages.join('\n'))
      for (const [i, pattern] of want.entries()) assert.match(messages[i] ?? '', pattern)
    })
  }
})

describe('MSS that a compiled real server sets', () => {
  /** At a path MTU of 1500: v4 in v4, v4 in v6, v6 in v4, v6 in v6, as they were measured with packets. */
  const ROWS: { name: string; fields: Record<string, unknown>; mss: readonly number[] }[] = [
    { name: 'ipip', fields: { decapsulates: ['ipip'] }, mss: [1440, 1420, 1420, 1400] },
    { name: 'gre', fields: { decapsulates: ['gre'] }, mss: [1436, 1416, 1416, 1396] },
    {
      name: 'gre csum',
      fields: { decapsulates: ['gre'], gre: { checksum: true } },
      mss: [1432, 1412, 1412, 1392],
    },
    { name: 'gue', fields: { decapsulates: ['gue'] }, mss: [1428, 1408, 1408, 1388] },
    {
      name: 'gue csum',
      fields: { decapsulates: ['gue'], gue: { checksum: 'csum' } },
      mss: [1428, 1408, 1408, 1388],
    },
    {
      name: 'gue remcsum',
      fields: { decapsulates: ['gue'], gue: { checksum: 'remcsum' } },
      mss: [1420, 1400, 1400, 1380],
    },
  ]
  const CELLS: readonly { vip: string; address: string }[] = [
    { vip: '10.1.0.100', address: '10.2.0.11' },
    { vip: '10.1.0.100', address: 'fd02::11' },
    { vip: 'fd01::100', address: '10.2.0.11' },
    { vip: 'fd01::100', address: 'fd02::11' },
  ]
  for (const { name, fields, mss } of ROWS) {
    it(name, () => {
      const found = CELLS.map(({ vip, address }) => {
        const fleet = twoSites((text) => {
          edit(text, 'realServers', 'rs-b1', { ...fields, addresses: [address] })
          edit(text, 'pools', 'web', { members: [{ realServer: 'rs-b1' }] })
          edit(text, 'virtualServices', 'web-a', { vips: [vip] })
          delete text['virtualServices']?.['web-b']
        })
        const { hosts, problems } = compileFleet(fleet)
        assert.deepEqual(problems, [])
        return hosts.get('real-server/rs-b1')?.state.clamps
      })
      assert.deepEqual(
        found,
        CELLS.map(({ vip }, i) => [{ address: vip, mss: mss[i] }]),
      )
    })
  }
})
