import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { pathKey, pathKeyOf, PROBE_MARKS, type HostState } from '@lvs-fleet/contract'
import fc from 'fast-check'
import { edit, twoSites, type FleetText } from '../../../../test/fixtures/two-sites.ts'
import { compileFleet } from './compile.ts'

function stateOf(change: (fleet: FleetText) => void = () => {}, host = 'dir-a'): HostState {
  const found = compileFleet(twoSites(change)).hosts.get(`director/${host}`)
  assert.ok(found !== undefined, `no director ${host}`)
  return found.state
}

/** `path: MTU, VIP and closed port`. */
function shown(state: HostState): string[] {
  return state.paths.map(
    (path) => `${path.realServer} ${pathKey(path)}: ${path.mtu}, ${path.vip}:${path.closedPort}`,
  )
}

const accepting = ({ sysctls }: HostState) =>
  sysctls.filter(({ key }) => key.endsWith('accept_local')).map(({ key }) => key)

describe('pathsOf', () => {
  it('has one path for each way to a real server, with the MTU inside', () => {
    assert.deepEqual(shown(stateOf()), [
      'rs-a1 ipv4 to 10.1.0.11 by dr: 1500, 10.1.0.100:33434',
      'rs-a2 ipv4 to 10.1.0.12 by dr: 1500, 10.1.0.100:33434',
      'rs-b1 ipv4 to 10.2.0.11 by tun ipip: 1480, 10.1.0.100:33434',
      'rs-b2 ipv4 to 10.2.0.12 by tun ipip: 1480, 10.1.0.100:33434',
      'rs-a1 ipv6 to fd01::11 by dr: 1500, fd01::100:33434',
      'rs-a2 ipv6 to fd01::12 by dr: 1500, fd01::100:33434',
      'rs-b1 ipv6 to fd02::11 by tun ipip: 1460, fd01::100:33434',
      'rs-b2 ipv6 to fd02::12 by tun ipip: 1460, fd01::100:33434',
    ])
  })

  it('has the path of every destination of the director', () => {
    const state = stateOf((fleet) => {
      edit(fleet, 'realServers', 'rs-a1', { gateway: 'dir-a' })
      edit(fleet, 'realServers', 'rs-b1', { decapsulates: ['gre'], gre: { checksum: true } })
      const member = { realServer: 'rs-a1', forwarding: 'nat', port: 8080 }
      edit(fleet, 'pools', 'web', {
        members: [member, { realServer: 'rs-b1' }, { realServer: 'rs-b2' }],
      })
      edit(fleet, 'virtualServices', 'web-a', { ports: [80, 8080, 443] })
      const web = fleet['virtualServices']?.['web-a']
      edit(fleet, 'virtualServices', 'many', { ...web, vips: ['10.1.0.101'], ports: ['1-100'] })
    })
    const known = new Set(state.paths.map(pathKey))
    const wanted = new Set(
      state.services.flatMap((service) =>
        service.destinations.map((destination) => pathKeyOf(service, destination)),
      ),
    )
    assert.deepEqual([...known].toSorted(), [...wanted].toSorted())
    assert.ok(wanted.size >= 6)
  })

  it('shares them between all virtual services that take the same way', () => {
    const state = stateOf((fleet) => {
      for (let n = 1; n <= 50; n++) {
        const web = fleet['virtualServices']?.['web-a']
        edit(fleet, 'virtualServices', `web-x${n}`, {
          ...web,
          vips: [`10.1.1.${n}`],
          ports: [80, 443],
        })
      }
    })
    assert.equal(state.services.length, 102)
    assert.deepEqual(shown(state), shown(stateOf()))
  })

  it('takes the path MTU and the options of the tunnel into account', () => {
    const state = stateOf((fleet) => {
      edit(fleet, 'sites', 'a', { paths: [{ to: 'b', mtu: 1400 }] })
      edit(fleet, 'realServers', 'rs-b1', { decapsulates: ['gue'], gue: { checksum: 'csum' } })
    })
    assert.deepEqual(
      shown(state).filter((line) => line.startsWith('rs-b1')),
      [
        'rs-b1 ipv4 to 10.2.0.11 by tun gue 6080 csum: 1368, 10.1.0.100:33434',
        'rs-b1 ipv6 to fd02::11 by tun gue 6080 csum: 1348, fd01::100:33434',
      ],
    )
  })

  it('names the port only where NAT translates it', () => {
    const nat = (fleet: FleetText) => {
      edit(fleet, 'realServers', 'rs-a1', { gateway: 'dir-a' })
      edit(fleet, 'pools', 'web', {
        members: [{ realServer: 'rs-a1', forwarding: 'nat' }],
      })
      edit(fleet, 'pools', 'other', {
        members: [{ realServer: 'rs-a1', forwarding: 'nat', port: 8080 }],
      })
      edit(fleet, 'virtualServices', 'web-a', { vips: ['10.1.0.100'], ports: [80, 443] })
      const web = fleet['virtualServices']?.['web-a']
      edit(fleet, 'virtualServices', 'other', { ...web, vips: ['10.1.0.101'], pool: 'other' })
    }
    assert.deepEqual(stateOf(nat).paths.map(pathKey), [
      'ipv4 to 10.1.0.11 by nat',
      'ipv4 to 10.1.0.11:8080 by nat',
    ])
    assert.deepEqual(accepting(stateOf(nat)), [])
  })

  it('asks a UDP port that no virtual service of the VIP has', () => {
    const state = stateOf((fleet) => {
      edit(fleet, 'virtualServices', 'web-a', { protocol: 'udp', ports: ['33000-33500'] })
    })
    assert.deepEqual([...new Set(state.paths.map((path) => path.closedPort))], [33_501])
  })

  it('comes from an address of the director that is no VIP, and leaves out what could not be answered', () => {
    const own = (addresses: readonly string[]) =>
      stateOf((fleet) => {
        edit(fleet, 'directors', 'dir-a', { addresses })
        edit(fleet, 'virtualServices', 'web-a', { vipDelivery: 'external' })
      })
    const sources = (state: HostState) => [...new Set(state.paths.map(({ source }) => source))]
    assert.deepEqual(sources(own(['10.1.0.100', '10.1.0.10', 'fd01::10'])), [
      '10.1.0.10',
      'fd01::10',
    ])
    assert.deepEqual(sources(own(['10.1.0.10'])), ['10.1.0.10'])
  })

  it('lets answers in by the interface of the source, also where the VIP is elsewhere', () => {
    const key = 'net.ipv4.conf.{10.1.0.10}.accept_local'
    assert.deepEqual(accepting(stateOf()), [key])
    const external = stateOf((fleet) =>
      edit(fleet, 'virtualServices', 'web-a', { vipDelivery: 'external' }),
    )
    assert.deepEqual(accepting(external), [key])
  })

  it('makes nothing where the director was told so, or carries nothing', () => {
    for (const fields of [{ probes: false }, { state: 'disabled' }]) {
      const state = stateOf((fleet) => edit(fleet, 'directors', 'dir-a', fields))
      assert.deepEqual([state.paths, accepting(state)], [[], []])
    }
  })

  it('gives each path a mark of its own, the same whatever order things were written in', () => {
    const names = Array.from({ length: 40 }, (_, n) => n + 1)
    const marks = (order: readonly number[]) =>
      stateOf((fleet) => {
        fleet['realServers'] = {}
        for (const n of order) {
          edit(fleet, 'realServers', `rs-${n}`, { site: 'b', addresses: [`10.2.3.${n}`] })
        }
        edit(fleet, 'pools', 'web', { members: order.map((n) => ({ realServer: `rs-${n}` })) })
        edit(fleet, 'virtualServices', 'web-a', { vips: ['10.1.0.100'] })
      }).paths.map((path) => `${pathKey(path)} ${path.mark}`)
    const sorted = marks(names)
    assert.equal(new Set(sorted.map((line) => line.split(' ').at(-1))).size, names.length)
    fc.assert(
      fc.property(fc.shuffledSubarray(names, { minLength: 40 }), (order) => {
        assert.deepEqual(marks(order), sorted)
      }),
      { numRuns: 20 },
    )
    for (const { mark } of stateOf().paths) {
      assert.ok(PROBE_MARKS.from <= mark && mark <= PROBE_MARKS.to)
    }
  })
})
