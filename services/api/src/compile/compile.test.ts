import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  canonicalJson,
  describeForwarding,
  guePortKey,
  serviceKey,
  type HostState,
} from '@lvs-fleet/contract'
import fc from 'fast-check'
import {
  edit,
  twoSites,
  twoSitesDocument,
  type FleetText,
} from '../../../../test/fixtures/two-sites.ts'
import { fleetFromDocument, fleetSchema } from '../intent/fleet.ts'
import { validateFleet } from '../intent/validate.ts'
import { compileFleet } from './compile.ts'

/** `VIP > real server: method weight`, the way a reader checks a director. */
function table(state: HostState): string[] {
  return state.services.flatMap((service) =>
    service.destinations.map(
      (d) =>
        `${serviceKey(service)} > ${d.realServer} ${d.address}:${d.port} ${describeForwarding(d.forwarding)} ${d.weight}`,
    ),
  )
}

function stateOf(change: (fleet: FleetText) => void, host: string): HostState {
  const compiled = compileFleet(twoSites(change))
  assert.deepEqual(compiled.problems, [])
  const found = compiled.hosts.get(host)
  assert.ok(found !== undefined, `no host ${host}`)
  return found.state
}

const only = (fields: object) => (fleet: FleetText) => {
  edit(fleet, 'pools', 'web', { members: [fields] })
  edit(fleet, 'virtualServices', 'web-a', { vips: ['10.1.0.100'] })
  delete fleet['virtualServices']?.['web-b']
}

describe('compile: directors', () => {
  it('reaches its own site by DR and the other by TUN, in both families', () => {
    assert.deepEqual(table(stateOf(() => {}, 'director/dir-a')), [
      'tcp/10.1.0.100:80 > rs-a1 10.1.0.11:80 dr 100',
      'tcp/10.1.0.100:80 > rs-a2 10.1.0.12:80 dr 50',
      'tcp/10.1.0.100:80 > rs-b1 10.2.0.11:80 tun ipip 100',
      'tcp/10.1.0.100:80 > rs-b2 10.2.0.12:80 tun ipip 100',
      'tcp/[fd01::100]:80 > rs-a1 fd01::11:80 dr 100',
      'tcp/[fd01::100]:80 > rs-a2 fd01::12:80 dr 50',
      'tcp/[fd01::100]:80 > rs-b1 fd02::11:80 tun ipip 100',
      'tcp/[fd01::100]:80 > rs-b2 fd02::12:80 tun ipip 100',
    ])
  })

  it('puts the VIPs on the interface that holds its address in their network', () => {
    assert.deepEqual(stateOf(() => {}, 'director/dir-a').addresses, [
      { address: '10.1.0.100', place: { holding: '10.1.0.10' } },
      { address: 'fd01::100', place: { holding: 'fd01::10' } },
    ])
    const external = (fleet: FleetText) =>
      edit(fleet, 'virtualServices', 'web-a', { vipDelivery: 'external' })
    assert.deepEqual(stateOf(external, 'director/dir-a').addresses, [])
  })

  const METHODS: { name: string; change: (fleet: FleetText) => void; want: string[] }[] = [
    {
      name: 'the director itself is Local Node',
      change: (fleet) => {
        edit(fleet, 'realServers', 'rs-a1', { addresses: ['10.1.0.10'] })
        only({ realServer: 'rs-a1' })(fleet)
      },
      want: ['tcp/10.1.0.100:80 > rs-a1 10.1.0.10:80 local 100'],
    },
    {
      name: 'another port on the director itself is NAT',
      change: (fleet) => {
        edit(fleet, 'realServers', 'rs-a1', { addresses: ['10.1.0.10'] })
        only({ realServer: 'rs-a1', port: 8080 })(fleet)
      },
      want: ['tcp/10.1.0.100:80 > rs-a1 10.1.0.10:8080 nat 100'],
    },
    {
      name: 'another port behind the director as gateway is NAT',
      change: (fleet) => {
        edit(fleet, 'realServers', 'rs-a1', { gateway: 'dir-a' })
        only({ realServer: 'rs-a1', port: 8080 })(fleet)
      },
      want: ['tcp/10.1.0.100:80 > rs-a1 10.1.0.11:8080 nat 100'],
    },
    {
      name: 'a method that is asked for wins over an earlier one',
      change: (fleet) => {
        only({ realServer: 'rs-a1', forwarding: 'tun' })(fleet)
      },
      want: ['tcp/10.1.0.100:80 > rs-a1 10.1.0.11:80 tun ipip 100'],
    },
    {
      name: 'a v6-only real server of another site answers a v4 VIP through a tunnel over IPv6',
      change: (fleet) => {
        edit(fleet, 'realServers', 'rs-b1', { addresses: ['fd02::11'] })
        only({ realServer: 'rs-b1' })(fleet)
      },
      want: ['tcp/10.1.0.100:80 > rs-b1 fd02::11:80 tun ipip 100'],
    },
  ]
  it('reaches by NAT from everywhere a real server whose replies are to come back by SNAT', () => {
    const change = (fleet: FleetText) => {
      edit(fleet, 'realServers', 'rs-b1', { natReturn: 'snat' })
      edit(fleet, 'pools', 'web', { members: [{ realServer: 'rs-b1', port: 8080 }] })
      delete fleet['virtualServices']?.['web-b']
    }
    const { services, sourceNats, sysctls } = stateOf(change, 'director/dir-a')
    assert.deepEqual(
      services.flatMap(({ destinations }) =>
        destinations.map((d) => `${d.address}:${d.port} ${d.forwarding.method}`),
      ),
      ['10.2.0.11:8080 nat', 'fd02::11:8080 nat'],
    )
    assert.deepEqual(sourceNats, [
      { vip: '10.1.0.100', server: '10.2.0.11' },
      { vip: 'fd01::100', server: 'fd02::11' },
    ])
    assert.deepEqual(
      sysctls.map(({ key, value }) => `${key}=${value}`),
      [
        'net.ipv4.ip_forward=1',
        'net.ipv4.conf.all.send_redirects=0',
        'net.ipv4.conf.{10.1.0.10}.send_redirects=0',
        'net.ipv6.conf.all.forwarding=1',
        'net.ipv4.vs.conntrack=1',
      ],
    )
  })

  it('keeps the address of the client where the director is the gateway anyway', () => {
    const change = (fleet: FleetText) => {
      edit(fleet, 'realServers', 'rs-a1', { gateway: 'dir-a', natReturn: 'snat' })
      only({ realServer: 'rs-a1', port: 8080 })(fleet)
    }
    assert.deepEqual(stateOf(change, 'director/dir-a').sourceNats, [])
  })

  const TUNNELS: { name: string; change: (fleet: FleetText) => void; want: string }[] = [
    {
      name: 'the first type that the real server lists',
      change: (fleet) => {
        edit(fleet, 'realServers', 'rs-b1', { decapsulates: ['gue', 'gre', 'ipip'] })
        only({ realServer: 'rs-b1' })(fleet)
      },
      want: '10.2.0.11:80 tun gue 6080 100',
    },
    {
      name: 'the next type where the first does not fit the path, over the same family',
      change: (fleet) => {
        edit(fleet, 'realServers', 'rs-b1', {
          addresses: ['fd02::11'],
          decapsulates: ['gue', 'gre'],
        })
        edit(fleet, 'sites', 'a', { paths: [{ to: 'b', mtu: 1324 }] })
        only({ realServer: 'rs-b1' })(fleet)
      },
      want: 'fd02::11:80 tun gre 100',
    },
    {
      name: "the real server's own port and checksum",
      change: (fleet) => {
        edit(fleet, 'realServers', 'rs-b1', {
          decapsulates: ['gue'],
          gue: { port: 7000, checksum: 'remcsum' },
        })
        only({ realServer: 'rs-b1' })(fleet)
      },
      want: '10.2.0.11:80 tun gue 7000 remcsum 100',
    },
    {
      name: 'the type that the virtual service asks for',
      change: (fleet) => {
        edit(fleet, 'realServers', 'rs-b1', {
          decapsulates: ['ipip', 'gre'],
          gre: { checksum: true },
        })
        only({ realServer: 'rs-b1' })(fleet)
        edit(fleet, 'virtualServices', 'web-a', { tunnel: 'gre' })
      },
      want: '10.2.0.11:80 tun gre csum 100',
    },
    {
      name: 'the type that the member asks for, whatever the virtual service says',
      change: (fleet) => {
        edit(fleet, 'realServers', 'rs-b1', { decapsulates: ['ipip', 'gre', 'gue'] })
        only({ realServer: 'rs-b1', tunnel: 'gue' })(fleet)
        edit(fleet, 'virtualServices', 'web-a', { tunnel: 'gre' })
      },
      want: '10.2.0.11:80 tun gue 6080 100',
    },
    {
      name: 'no tunnel at all where DR is possible, whatever its type',
      change: (fleet) => {
        only({ realServer: 'rs-a1' })(fleet)
        edit(fleet, 'virtualServices', 'web-a', { tunnel: 'gre' })
      },
      want: '10.1.0.11:80 dr 100',
    },
  ]
  for (const { name, change, want } of TUNNELS) {
    it(`takes ${name}`, () => {
      const [line = ''] = table(stateOf(change, 'director/dir-a'))
      assert.equal(line.replace(/^.* > \S+ /, ''), want)
    })
  }

  for (const { name, change, want } of METHODS) {
    it(name, () => assert.deepEqual(table(stateOf(change, 'director/dir-a')), want))
  }

  it('sets on a director only what its methods need', () => {
    const sysctls = (change: (fleet: FleetText) => void) =>
      stateOf(change, 'director/dir-a').sysctls.map(({ key, value }) => `${key}=${value}`)
    const nat = (fleet: FleetText) => {
      edit(fleet, 'realServers', 'rs-a1', { gateway: 'dir-a' })
      only({ realServer: 'rs-a1', port: 8080 })(fleet)
    }
    assert.deepEqual(sysctls(nat), [
      'net.ipv4.ip_forward=1',
      'net.ipv4.conf.all.send_redirects=0',
      'net.ipv4.conf.{10.1.0.10}.send_redirects=0',
    ])
    assert.deepEqual(
      sysctls(() => {}),
      ['net.ipv4.conf.{10.1.0.10}.accept_local=1', 'net.ipv4.vs.conn_reuse_mode=2'],
    )
  })

  it('lets a director forward as long as NAT connections drain, and lingers for no other method', () => {
    const draining = (fleet: FleetText) =>
      edit(fleet, 'virtualServices', 'web-a', { drainSeconds: 77 })
    const nat = (fleet: FleetText) => {
      draining(fleet)
      edit(fleet, 'realServers', 'rs-a1', { gateway: 'dir-a' })
      only({ realServer: 'rs-a1', port: 8080 })(fleet)
    }
    assert.equal(stateOf(nat, 'director/dir-a').lingerSeconds, 77)
    assert.equal(stateOf(draining, 'director/dir-a').lingerSeconds, 0)
  })

  const WEIGHTS: { name: string; change: (fleet: FleetText) => void; want: number[] }[] = [
    {
      name: 'a draining real server has weight 0',
      change: (fleet) => edit(fleet, 'realServers', 'rs-a1', { state: 'drain' }),
      want: [0, 50, 100, 100],
    },
    {
      name: 'a draining site has weight 0, seen from every director',
      change: (fleet) => edit(fleet, 'sites', 'b', { state: 'drain' }),
      want: [100, 50, 0, 0],
    },
    {
      name: 'a draining director has weight 0 everywhere',
      change: (fleet) => edit(fleet, 'directors', 'dir-a', { state: 'drain' }),
      want: [0, 0, 0, 0],
    },
    {
      name: 'a disabled real server is not there',
      change: (fleet) => edit(fleet, 'realServers', 'rs-b2', { state: 'disabled' }),
      want: [100, 50, 100],
    },
  ]
  for (const { name, change, want } of WEIGHTS) {
    it(name, () => {
      const service = stateOf(change, 'director/dir-a').services[0]
      assert.deepEqual(
        service?.destinations.map(({ weight }) => weight),
        want,
      )
    })
  }

  it('carries nothing when disabled', () => {
    const change = (fleet: FleetText) => edit(fleet, 'directors', 'dir-a', { state: 'disabled' })
    assert.deepEqual(stateOf(change, 'director/dir-a').services, [])
  })

  it('adds the real servers that a selector matches, a listed member wins', () => {
    const change = (fleet: FleetText) => {
      edit(fleet, 'realServers', 'rs-a1', { labels: { tier: 'web' } })
      edit(fleet, 'realServers', 'rs-b1', { labels: { tier: 'web' } })
      edit(fleet, 'pools', 'web', {
        members: [{ realServer: 'rs-a1', weight: 7 }],
        selector: { matchLabels: { tier: 'web' }, weight: 30 },
      })
    }
    assert.deepEqual(table(stateOf(change, 'director/dir-a')).slice(0, 2), [
      'tcp/10.1.0.100:80 > rs-a1 10.1.0.11:80 dr 7',
      'tcp/10.1.0.100:80 > rs-b1 10.2.0.11:80 tun ipip 30',
    ])
  })
})

describe('compile: real servers', () => {
  it('decapsulates from the directors that send to it and from no other', () => {
    const { devices } = stateOf(() => {}, 'real-server/rs-b1')
    assert.deepEqual(
      devices.map((device) =>
        device.kind === 'dummy' ? 'dummy' : `${device.kind} ${device.local} < ${device.remote}`,
      ),
      ['dummy', 'ipip 10.2.0.11 < 10.1.0.10', 'ip6tnl fd02::11 < fd01::10'],
    )
  })

  // With one address only, DR in its own site serves one family, and the other comes through a tunnel too.
  const DECAPSULATION: {
    name: string
    server: Record<string, unknown>
    devices: string[]
    guePorts: string[]
  }[] = [
    {
      name: 'gre over the family of the packet inside',
      server: { decapsulates: ['gre'] },
      devices: ['gre 10.2.0.11 < 10.1.0.10', 'ip6gre fd02::11 < fd01::10'],
      guePorts: [],
    },
    {
      name: 'gre with a checksum, both families inside IPv4',
      server: { decapsulates: ['gre'], gre: { checksum: true }, addresses: ['10.2.0.11'] },
      devices: ['gre csum 10.2.0.11 < 10.1.0.10', 'gre csum 10.2.0.11 < 10.2.0.10'],
      guePorts: [],
    },
    {
      name: 'gue by a port for each address and the devices of ipip',
      server: { decapsulates: ['gue'] },
      devices: ['ipip 10.2.0.11 < 10.1.0.10', 'ip6tnl fd02::11 < fd01::10'],
      guePorts: ['10.2.0.11:6080', '[fd02::11]:6080'],
    },
    {
      name: 'gue that carries both families over IPv4',
      server: { decapsulates: ['gue'], gue: { port: 7000 }, addresses: ['10.2.0.11'] },
      devices: [
        'ipip 10.2.0.11 < 10.1.0.10',
        'sit 10.2.0.11 < 10.1.0.10',
        'sit 10.2.0.11 < 10.2.0.10',
      ],
      guePorts: ['10.2.0.11:7000'],
    },
    {
      name: 'both families over IPv6',
      server: { addresses: ['fd02::11'] },
      devices: ['ip6tnl fd02::11 < fd01::10', 'ip6tnl fd02::11 < fd02::10'],
      guePorts: [],
    },
  ]
  for (const { name, server, devices, guePorts } of DECAPSULATION) {
    it(`takes off ${name}`, () => {
      const state = stateOf(
        (fleet) => edit(fleet, 'realServers', 'rs-b1', server),
        'real-server/rs-b1',
      )
      const shown = state.devices.map((device) =>
        device.kind === 'dummy'
          ? 'dummy'
          : `${device.kind}${'checksum' in device && device.checksum ? ' csum' : ''} ${device.local} < ${device.remote}`,
      )
      assert.deepEqual(shown.toSorted(), [...devices, 'dummy'].toSorted())
      assert.deepEqual(state.guePorts.map(guePortKey), guePorts)
    })
  }

  it('puts an IPv4 address on each device that IPv4 packets come out of', () => {
    const change = (fleet: FleetText) => {
      edit(fleet, 'realServers', 'rs-b1', { decapsulates: ['gre'], addresses: ['fd02::11'] })
      edit(fleet, 'realServers', 'rs-b2', { decapsulates: ['gre'] })
    }
    const onTunnels = (host: string) =>
      stateOf(change, host)
        .addresses.flatMap(({ address, place }) =>
          'device' in place && place.device !== 'lvsfleet0' ? [address] : [],
        )
        .toSorted()
    // It has no IPv4 of its own, so each device gets the VIP that comes through it.
    assert.deepEqual(onTunnels('real-server/rs-b1'), ['10.1.0.100', '10.2.0.100'])
    // The device of IPv6 in IPv6 needs none.
    assert.deepEqual(onTunnels('real-server/rs-b2'), ['10.2.0.12'])
  })

  it('announces an MSS that fits the smallest tunnel path of each VIP', () => {
    const clamps = (change: (fleet: FleetText) => void) =>
      stateOf(change, 'real-server/rs-b1').clamps
    assert.deepEqual(
      clamps(() => {}),
      [
        { address: '10.1.0.100', mss: 1440 },
        { address: 'fd01::100', mss: 1400 },
      ],
    )
    const narrow = (fleet: FleetText) =>
      edit(fleet, 'sites', 'b', { paths: [{ to: 'a', mtu: 1400 }] })
    assert.deepEqual(clamps(narrow), [
      { address: '10.1.0.100', mss: 1340 },
      { address: 'fd01::100', mss: 1300 },
    ])
  })

  it('has nothing on it when no route leads to it', () => {
    const change = (fleet: FleetText) => edit(fleet, 'realServers', 'rs-b1', { state: 'disabled' })
    const { devices, addresses, sysctls, clamps } = stateOf(change, 'real-server/rs-b1')
    assert.deepEqual(
      { devices, addresses, sysctls, clamps },
      { devices: [], addresses: [], sysctls: [], clamps: [] },
    )
  })

  it('shares the state of the director that is the same machine', () => {
    const change = (fleet: FleetText) =>
      edit(fleet, 'realServers', 'rs-a1', { addresses: ['10.1.0.10', 'fd01::10'] })
    assert.deepEqual(stateOf(change, 'real-server/rs-a1').addresses, [])
    const places = stateOf(change, 'director/dir-a').addresses.map(({ address, place }) =>
      'device' in place ? `${address} ${place.device.slice(0, 5)}` : `${address} holding`,
    )
    assert.ok(places.includes('10.1.0.100 holding'))
    assert.ok(places.includes('10.2.0.100 lvsfl'), 'the VIP of the other site, answered here')
  })
})

describe('compile refuses what a kernel would refuse or misroute', () => {
  const ROWS: { name: string; change: (fleet: FleetText) => void; code: string; says: RegExp }[] = [
    {
      name: 'a port that a tunnel cannot translate, with the reason of every method',
      change: only({ realServer: 'rs-b1', port: 8080 }),
      code: 'no-forwarding',
      says: /local: .*dr: cannot translate port 80 to 8080.*tun: cannot translate.*nat: replies of rs-b1/,
    },
    {
      name: 'NAT that would change the address family',
      change: (fleet) => {
        edit(fleet, 'realServers', 'rs-a1', { addresses: ['fd01::11'], gateway: 'dir-a' })
        only({ realServer: 'rs-a1', forwarding: 'nat' })(fleet)
      },
      code: 'no-forwarding',
      says: /NAT cannot change the address family/,
    },
    {
      name: 'DR over a router',
      change: only({ realServer: 'rs-b1', forwarding: 'dr' }),
      code: 'no-forwarding',
      says: /rs-b1 is in site b, dir-a in a: no common network/,
    },
    {
      name: 'a tunnel to a host that decapsulates nothing',
      change: (fleet) => {
        edit(fleet, 'realServers', 'rs-b1', { decapsulates: [] })
        only({ realServer: 'rs-b1' })(fleet)
      },
      code: 'no-forwarding',
      says: /rs-b1 decapsulates no tunnel type/,
    },
    {
      name: 'a tunnel in which IPv6 does not fit',
      change: (fleet) => {
        edit(fleet, 'sites', 'a', { paths: [{ to: 'b', mtu: 1300 }] })
        edit(fleet, 'realServers', 'rs-b1', { addresses: ['fd02::11'] })
        only({ realServer: 'rs-b1' })(fleet)
      },
      code: 'no-forwarding',
      says: /path MTU leaves 1260 bytes inside ipip over IPv6, the kernel needs 1280/,
    },
    {
      name: 'SNAT from a director without an address of the family',
      change: (fleet) => {
        edit(fleet, 'directors', 'dir-a', { addresses: ['fd01::10'] })
        edit(fleet, 'realServers', 'rs-b1', { natReturn: 'snat' })
        only({ realServer: 'rs-b1', port: 8080 })(fleet)
      },
      code: 'no-forwarding',
      says: /nat: dir-a has no IPv4 address/,
    },
    {
      name: 'a tunnel type that the real server does not take off',
      change: (fleet) => {
        edit(fleet, 'virtualServices', 'web-a', { tunnel: 'gre' })
        only({ realServer: 'rs-b1' })(fleet)
      },
      code: 'no-forwarding',
      says: /tun: rs-b1 decapsulates ipip, not gre: add it to decapsulates/,
    },
    {
      name: 'a tunnel type that does not fit the path, although another would',
      change: (fleet) => {
        edit(fleet, 'sites', 'a', { paths: [{ to: 'b', mtu: 1330 }] })
        edit(fleet, 'realServers', 'rs-b1', {
          addresses: ['fd02::11'],
          decapsulates: ['ipip', 'gue'],
        })
        only({ realServer: 'rs-b1', tunnel: 'gue' })(fleet)
      },
      code: 'no-forwarding',
      says: /path MTU leaves 1278 bytes inside gue 6080 over IPv6, the kernel needs 1280/,
    },
    {
      name: 'GUE on the port of a UDP service that the real server answers',
      change: (fleet) => {
        only({ realServer: 'rs-b1' })(fleet)
        edit(fleet, 'realServers', 'rs-b1', { decapsulates: ['gue'], gue: { port: 53 } })
        edit(fleet, 'virtualServices', 'web-a', { protocol: 'udp', ports: [53] })
      },
      code: 'tunnel-conflict',
      says: /53 is also the udp port on which rs-b1 answers web-a: give GUE another one/,
    },
    {
      name: 'two virtual services with one VIP and port on one director',
      change: (fleet) =>
        edit(fleet, 'virtualServices', 'web-b', {
          vips: ['10.1.0.100'],
          carriedBy: { sites: ['a'] },
        }),
      code: 'vip-overlap',
      says: /tcp\/10.1.0.100:80 is carried by dir-a for virtual service web-a already/,
    },
    {
      name: 'one VIP put on two directors of one site',
      change: (fleet) =>
        edit(fleet, 'directors', 'dir-a2', { site: 'a', addresses: ['10.1.0.20', 'fd01::20'] }),
      code: 'vip-duplicate',
      says: /set vipDelivery to external/,
    },
  ]
  for (const { name, change, code, says } of ROWS) {
    it(name, () => {
      const fleet = twoSites(change)
      assert.deepEqual(validateFleet(fleet), [])
      const problem = compileFleet(fleet).problems.find((found) => found.code === code)
      assert.match(problem?.message ?? 'no such problem', says)
    })
  }
})

describe('compile is a function of the intent alone', () => {
  it('gives the same states whatever order the document and its lists are written in', () => {
    const expected = compiledText(twoSitesDocument())
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat()), (random) => {
        const document = shuffled(twoSitesDocument(), () => random.next().value ?? 0)
        assert.equal(compiledText(document as FleetText), expected)
      }),
      { numRuns: 100 },
    )
  })

  it('changes only the hosts that a change concerns', () => {
    const before = compileFleet(twoSites()).hosts
    const after = compileFleet(
      twoSites((fleet) => edit(fleet, 'virtualServices', 'web-a', { scheduler: 'rr' })),
    ).hosts
    const changed = [...after.keys()].filter(
      (key) => canonicalJson(after.get(key)) !== canonicalJson(before.get(key)),
    )
    assert.deepEqual(changed, ['director/dir-a'])
  })
})

function compiledText(document: FleetText): string {
  return canonicalJson([...compileFleet(fleetFromDocument(fleetSchema.parse(document))).hosts])
}

/** The same content in another order: keys of objects, members of pools. */
function shuffled(value: unknown, next: () => number): unknown {
  if (Array.isArray(value)) {
    const isMembers = value.some((item) => typeof item === 'object' && 'realServer' in item)
    return isMembers ? inRandomOrder(value, next) : value
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, field]) => [key, shuffled(field, next)] as const)
  return Object.fromEntries(inRandomOrder(entries, next))
}

function inRandomOrder<T>(items: readonly T[], next: () => number): T[] {
  return items
    .map((item) => ({ item, rank: next() }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ item }) => item)
}
