/** A mixed pool under `auto` across three sites: the method, address and reason of each director and real server. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { threeSites } from '../../../../../test/fixtures/three-sites.ts'
import { validateFleet } from '../../intent/validate.ts'
import { compileFleet } from '../compile.ts'
import { explainVirtualService } from './virtual-service.ts'

const decapsulates = (name: string, type: string, family: string) =>
  `${name} decapsulates ${type} and both have an ${family} address`
const neighbours = (site: string) => `both have an address in network servers of site ${site}`

type Row = readonly [realServer: string, method: string, address: string, why: string]

const WANT: Readonly<Record<string, { ipv4: readonly Row[]; ipv6: readonly Row[] }>> = {
  'shop-a': {
    ipv4: [
      ['rs-a2', 'nat', '10.1.0.12', 'replies of rs-a2 return through dir-a, its gateway'],
      ['rs-a0', 'local', '10.1.0.10', 'rs-a0 is dir-a itself'],
      ['rs-a1', 'dr', '10.1.0.11', neighbours('a')],
      ['rs-b1', 'tun gre', '10.2.0.11', decapsulates('rs-b1', 'gre', 'IPv4')],
      ['rs-c1', 'tun gue 6080', '10.3.0.11', decapsulates('rs-c1', 'gue', 'IPv4')],
      ['rs-c2', 'tun ipip', 'fd03::12', decapsulates('rs-c2', 'ipip', 'IPv6')],
    ],
    ipv6: [
      ['rs-a2', 'nat', 'fd01::12', 'replies of rs-a2 return through dir-a, its gateway'],
      ['rs-a0', 'local', 'fd01::10', 'rs-a0 is dir-a itself'],
      ['rs-a1', 'dr', 'fd01::11', neighbours('a')],
      ['rs-b1', 'tun gre', 'fd02::11', decapsulates('rs-b1', 'gre', 'IPv6')],
      ['rs-c1', 'tun gue 6080', 'fd03::11', decapsulates('rs-c1', 'gue', 'IPv6')],
      ['rs-c2', 'tun ipip', 'fd03::12', decapsulates('rs-c2', 'ipip', 'IPv6')],
    ],
  },
  'shop-b': {
    ipv4: [
      ['rs-a0', 'tun ipip', '10.1.0.10', decapsulates('rs-a0', 'ipip', 'IPv4')],
      ['rs-a1', 'tun ipip', '10.1.0.11', decapsulates('rs-a1', 'ipip', 'IPv4')],
      ['rs-b1', 'dr', '10.2.0.11', neighbours('b')],
      ['rs-c1', 'tun gue 6080', '10.3.0.11', decapsulates('rs-c1', 'gue', 'IPv4')],
      ['rs-c2', 'tun ipip', 'fd03::12', decapsulates('rs-c2', 'ipip', 'IPv6')],
    ],
    ipv6: [
      ['rs-a0', 'tun ipip', 'fd01::10', decapsulates('rs-a0', 'ipip', 'IPv6')],
      ['rs-a1', 'tun ipip', 'fd01::11', decapsulates('rs-a1', 'ipip', 'IPv6')],
      ['rs-b1', 'dr', 'fd02::11', neighbours('b')],
      ['rs-c1', 'tun gue 6080', 'fd03::11', decapsulates('rs-c1', 'gue', 'IPv6')],
      ['rs-c2', 'tun ipip', 'fd03::12', decapsulates('rs-c2', 'ipip', 'IPv6')],
    ],
  },
  'shop-c': {
    ipv4: [
      ['rs-a0', 'tun ipip', '10.1.0.10', decapsulates('rs-a0', 'ipip', 'IPv4')],
      ['rs-a1', 'tun ipip', '10.1.0.11', decapsulates('rs-a1', 'ipip', 'IPv4')],
      ['rs-b1', 'tun gre', '10.2.0.11', decapsulates('rs-b1', 'gre', 'IPv4')],
      ['rs-c1', 'dr', '10.3.0.11', neighbours('c')],
      ['rs-c2', 'tun ipip', 'fd03::12', decapsulates('rs-c2', 'ipip', 'IPv6')],
    ],
    ipv6: [
      ['rs-a0', 'tun ipip', 'fd01::10', decapsulates('rs-a0', 'ipip', 'IPv6')],
      ['rs-a1', 'tun ipip', 'fd01::11', decapsulates('rs-a1', 'ipip', 'IPv6')],
      ['rs-b1', 'tun gre', 'fd02::11', decapsulates('rs-b1', 'gre', 'IPv6')],
      ['rs-c1', 'dr', 'fd03::11', neighbours('c')],
      ['rs-c2', 'dr', 'fd03::12', neighbours('c')],
    ],
  },
}

describe('the example of three sites', () => {
  const fleet = threeSites()

  it('is valid, and all of it can be published', () => {
    assert.deepEqual(validateFleet(fleet), [])
    const { problems, warnings } = compileFleet(fleet)
    assert.deepEqual(problems, [])
    assert.deepEqual([...new Set(warnings.map(({ code }) => code))], ['udp-mtu'])
  })

  for (const [name, { ipv4, ipv6 }] of Object.entries(WANT)) {
    it(`${name}: each method where it belongs`, () => {
      const found = explainVirtualService(fleet, name).map(
        ({ realServer, forwarding, address, why }) => [realServer, forwarding, address, why],
      )
      assert.deepEqual(found, [...ipv4, ...ipv6])
    })
  }

  it('every method that auto knows is in it', () => {
    const methods = new Set(
      Object.values(WANT).flatMap(({ ipv4, ipv6 }) =>
        [...ipv4, ...ipv6].map(([, method]) => method),
      ),
    )
    assert.deepEqual([...methods].toSorted(), [
      'dr',
      'local',
      'nat',
      'tun gre',
      'tun gue 6080',
      'tun ipip',
    ])
  })

  it('the old real server is refused where its replies would not come back', () => {
    const { problems } = compileFleet(
      threeSites((text) => {
        const service = text['virtualServices']?.['shop-b'] ?? {}
        service['pool'] = 'shop-and-old'
      }),
    )
    assert.match(
      problems[0]?.message ?? '',
      /dir-b cannot reach rs-a2 .*replies of rs-a2 do not return through dir-b/,
    )
  })
})
