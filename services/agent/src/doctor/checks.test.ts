/** Every check, by rows: a healthy host has no finding, and one fault has exactly its own. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { findingSchema, ip, type HostPart, type ServiceState } from '@lvs-fleet/contract'
import { ABLE, director, held, link, realServer, route } from '../../../../test/fakes/patients.ts'
import { destination, markService, service } from '../../../../test/fakes/states.ts'
import { ALL_CHECKS } from './all-checks.ts'
import { examine, type Patient } from './check.ts'
import type { Facts, Handshakes } from './facts/facts.ts'

const facts =
  (change: (facts: Facts) => Partial<Facts>) =>
  (patient: Patient): Patient => ({
    ...patient,
    facts: { ...patient.facts, ...change(patient.facts) },
  })
const network = (change: (network: Facts['network']) => Partial<Facts['network']>) =>
  facts(({ network: now }) => ({ network: { ...now, ...change(now) } }))
const sysctl = (...pairs: readonly (readonly [string, string])[]) =>
  facts(({ sysctls }) => ({ sysctls: new Map([...sysctls, ...pairs]) }))
const routes = (...pairs: [string, ReturnType<typeof route>][]) =>
  facts((now) => ({
    routes: new Map([...now.routes, ...pairs.map(([to, way]) => [ip(to), way] as const)]),
  }))
const without = (address: string, linkIndex?: number) =>
  network(({ addresses }) => ({
    addresses: addresses.filter(
      (one) => one.address !== address || (linkIndex ?? one.linkIndex) !== one.linkIndex,
    ),
  }))
const services =
  (...list: ServiceState[]) =>
  (patient: Patient): Patient => ({ ...patient, state: { ...patient.state, services: list } })
const host =
  (change: (host: HostPart) => Partial<HostPart>) =>
  (patient: Patient): Patient => ({
    ...patient,
    state: { ...patient.state, host: { ...patient.state.host, ...change(patient.state.host) } },
  })
const all =
  (...changes: ((patient: Patient) => Patient)[]) =>
  (patient: Patient): Patient =>
    changes.reduce((now, change) => change(now), patient)

const ACCEPT_LOCAL = {
  key: 'net.ipv4.conf.{10.1.0.10}.accept_local',
  value: '1',
  accept: ['1'],
}
const NARROW = {
  realServer: 'rs-b1',
  path: 'ipv4 to 10.2.0.11 by tun ipip',
  vip: '10.1.0.100',
  mtu: 1480,
  carries: 1380,
}
const NAT = destination('10.1.0.12', { forwarding: { method: 'nat' }, port: 8080 })
const nat = all(
  services(service('10.1.0.100', [NAT])),
  routes(['10.1.0.12', route()]),
  sysctl(['net.ipv4.ip_forward', '1']),
)
/** As compiled: for the interface that holds the director's address. */
const redirects = (patient: Patient): Patient => {
  const { host } = patient.state
  const key = 'net.ipv4.conf.{10.1.0.10}.send_redirects'
  const sysctls = [...host.sysctls, { key, value: '0', accept: ['0'] }]
  return { ...patient, state: { ...patient.state, host: { ...host, sysctls } } }
}
const handshake = (row: Partial<Handshakes>) =>
  facts(() => ({
    handshakes: [
      {
        vip: ip('10.1.0.100'),
        port: 80,
        server: ip('10.2.0.11'),
        halfOpen: 0,
        completed: 0,
        ...row,
      },
    ],
  }))
const synced = all(
  host(() => ({
    syncDaemons: [
      {
        role: 'master',
        place: { holding: ip('10.1.0.10') },
        syncId: 7,
        group: ip('224.0.0.81'),
        port: 8848,
        ttl: 1,
        maxlen: null,
      },
    ],
  })),
  facts(() => ({
    syncDaemons: [
      {
        role: 'master',
        device: 'eth0',
        syncId: 7,
        group: ip('224.0.0.81'),
        port: 8848,
        ttl: 1,
        maxlen: 1472,
      },
    ],
  })),
)
const persistent = (weights: readonly number[]) =>
  services(
    service(
      '10.1.0.100',
      weights.map((weight, i) => destination(`10.1.0.${11 + i}`, { weight })),
      { persistence: { timeoutSeconds: 300, prefixLength: 32, engine: null } },
    ),
  )

/** A real server that also has a GRE device, its other end checking sums. */
function gre(checksum: boolean): Patient {
  const { facts: seen, state } = realServer()
  const ends = { local: ip('10.2.0.11'), remote: ip('10.1.0.10') }
  const device = { name: 'lvsf-g', kind: 'gre' as const, ...ends, checksum }
  const { links, addresses } = seen.network
  const standing = link(9, 'lvsf-g', { kind: 'gre', ...ends, checksum })
  return {
    facts: { ...seen, network: { links: [...links, standing], addresses } },
    state: { ...state, host: { ...state.host, devices: [...state.host.devices, device] } },
  }
}

/** A real server on whose address the directors' GUE arrives. */
function gue(): Patient {
  const { facts: seen, state } = realServer()
  const guePort = { address: ip('10.2.0.11'), port: 6080 }
  return {
    facts: { ...seen, guePorts: [{ ...guePort, family: 'ipv4', exact: true }] },
    state: { ...state, host: { ...state.host, guePorts: [guePort] } },
  }
}

type Row = {
  readonly name: string
  readonly on?: () => Patient
  readonly change: (patient: Patient) => Patient
  /** `severity check object` */
  readonly want: readonly string[]
  /** In `found` of the first finding. */
  readonly found?: RegExp
  readonly command?: string
}

const HEALTHY: Row[] = [
  { name: 'a director', change: (patient) => patient, want: [] },
  { name: 'a real server', on: realServer, change: (patient) => patient, want: [] },
  { name: 'a director with NAT that forwards', change: nat, want: [] },
  {
    name: 'a real server, which forwards nothing, with large receive offload',
    on: realServer,
    change: facts(() => ({ offloads: new Map([[2, new Set(['rx-lro'])]]) })),
    want: [],
  },
  { name: 'a few handshakes that clients gave up', change: handshake({ halfOpen: 4 }), want: [] },
  {
    name: 'a busy real server with some clients that gave up',
    change: handshake({ halfOpen: 50, completed: 51 }),
    want: [],
  },
  {
    name: 'handshakes with a port that is not ours',
    change: handshake({ halfOpen: 50, port: 81 }),
    want: [],
  },
  { name: 'a director whose sync daemon runs', change: synced, want: [] },
  {
    name: 'a director whose sync daemon cannot be seen',
    change: all(
      synced,
      facts(() => ({ syncDaemons: null })),
    ),
    want: [],
  },
  {
    name: 'nothing known of kernel, routes, rules and clocks',
    change: facts(() => ({
      capabilities: null,
      namespace: null,
      clamps: null,
      routes: new Map(),
      duplicates: null,
      handshakes: null,
      offloads: null,
      ruleset: null,
      clockSkewSeconds: null,
      sysctls: new Map([['net.ipv4.vs.conn_reuse_mode', '2']]),
    })),
    want: [],
  },
  {
    name: 'a real server with rp_filter off everywhere',
    on: realServer,
    change: sysctl(['net.ipv4.conf.all.rp_filter', '0'], ['net.ipv4.conf.lvsf-4.rp_filter', '0']),
    want: [],
  },
  {
    name: 'a real server whose address stands on a smaller device too',
    on: realServer,
    change: network(({ links, addresses }) => ({
      links: links.map((one) => (one.name.startsWith('lvsf-') ? { ...one, mtu: 1480 } : one)),
      addresses: addresses.toReversed(),
    })),
    want: [],
  },
  {
    name: 'persistence with nobody drained, or everybody',
    change: all(persistent([1, 1]), routes()),
    want: [],
  },
  {
    name: 'a virtual service that drains and is still ours',
    change: all(
      facts(() => ({ services: [{ ...observed('10.1.0.99') }] })),
      (patient) => ({
        ...patient,
        state: { ...patient.state, ownedServices: new Set(['tcp/10.1.0.99:80']) },
      }),
    ),
    want: [],
  },
]

const ILL: Row[] = [
  {
    name: 'no ip_vs',
    change: facts(() => ({ services: null, ipvsError: 'ip_vs is not loaded' })),
    want: ['broken kernel-modules module ip_vs'],
    command: 'modprobe ip_vs',
  },
  {
    name: 'a scheduler that the kernel has not',
    change: services(service('10.1.0.100', [destination('10.1.0.11')], { scheduler: 'twos' })),
    want: ['broken kernel-modules scheduler twos'],
    command: 'modprobe ip_vs_twos',
  },
  {
    name: 'a tunnel type that the kernel has not',
    change: facts(() => ({ capabilities: { ...ABLE, tunnels: { ipip: 'no' } } })),
    want: ['broken kernel-modules tunnel type ipip'],
  },
  {
    name: 'a device kind that the kernel has not',
    on: realServer,
    change: facts(() => ({ capabilities: { ...ABLE, decapsulation: { ip6tnl: 'no' } } })),
    want: ['broken kernel-modules device kind ip6tnl'],
    command: 'modprobe ip6_tunnel',
  },
  {
    name: 'VIP missing on the director',
    change: without('10.1.0.100'),
    want: ['broken vip-on-director VIP 10.1.0.100'],
    command: 'ip addr add 10.1.0.100/32 dev eth0',
  },
  {
    name: 'v6 VIP on lo',
    change: all(
      without('fd01::100'),
      network(({ addresses }) => ({
        addresses: [...addresses, held('fd01::100', 1, { deprecated: true })],
      })),
    ),
    want: ['broken vip6-on-loopback VIP fd01::100'],
  },
  {
    name: 'v6 VIP preferred',
    change: all(
      without('fd01::100'),
      network(({ addresses }) => ({ addresses: [...addresses, held('fd01::100', 2)] })),
      // And so it is picked: told once, with its cause.
      routes(['fd02::11', route({ source: ip('fd01::100') })]),
    ),
    want: ['broken vip6-preferred VIP fd01::100'],
    found: /may send from it/,
    command: 'ip -6 addr change fd01::100/128 dev eth0 preferred_lft 0',
  },
  {
    name: 'somebody else answers ARP for the VIP',
    change: facts(() => ({ duplicates: new Map([[ip('10.1.0.100'), '02:00:00:00:00:09']]) })),
    want: ['broken vip-duplicate VIP 10.1.0.100'],
    found: /02:00:00:00:00:09/,
  },
  {
    name: 'the table differs from the state',
    change: (patient) => ({
      ...patient,
      state: {
        ...patient.state,
        pending: {
          ops: [{ kind: 'service.remove', service: service('10.1.0.9', []) }],
          conflicts: [],
        },
      },
    }),
    want: ['broken kernel-table IPVS table'],
    found: /- service tcp\/10\.1\.0\.9:80/,
  },
  {
    name: 'an object that is not ours is in the way',
    change: (patient) => ({
      ...patient,
      state: {
        ...patient.state,
        pending: { ops: [], conflicts: [{ op: '+ service x', code: 'conflict', message: 'no' }] },
      },
    }),
    want: ['risk kernel-table + service x'],
  },
  {
    name: 'all weights 0',
    change: services(service('10.1.0.100', [destination('10.1.0.11', { weight: 0 })])),
    want: ['broken no-live-destination virtual service tcp/10.1.0.100:80 (vs-10.1.0.100)'],
    found: /all 1 destinations/,
  },
  {
    name: 'no destination in the kernel, whatever the state says',
    change: facts(() => ({ destinations: new Map([['tcp/10.1.0.100:80', []]]) })),
    want: ['broken no-live-destination virtual service tcp/10.1.0.100:80 (vs-10.1.0.100)'],
    found: /no destination at all/,
  },
  {
    name: 'another port by DR',
    change: services(service('10.1.0.100', [destination('10.1.0.11', { port: 8080 })])),
    want: ['broken port-differs tcp/10.1.0.100:80 > 10.1.0.11:8080'],
  },
  {
    name: 'no route to a real server',
    change: routes(['10.2.0.11', { ok: false, code: 'ENETUNREACH', message: 'no' }]),
    want: ['broken route-to-real-server route to rs-10.2.0.11 10.2.0.11'],
    found: /ENETUNREACH/,
  },
  {
    name: 'a tunnel that starts at a VIP',
    change: routes(['10.2.0.11', route({ source: ip('10.1.0.100') })]),
    want: ['broken route-to-real-server route to rs-10.2.0.11 10.2.0.11'],
  },
  {
    name: 'DR over a router',
    change: routes(['10.1.0.11', route({ gateway: ip('10.1.0.1') })]),
    want: ['broken dr-on-link rs-10.1.0.11 10.1.0.11'],
  },
  {
    name: 'a real server of DR that answers no ARP',
    change: facts(() => ({
      neighbours: [{ address: ip('10.1.0.11'), linkIndex: 2, failed: true, mac: null }],
    })),
    want: ['risk dr-on-link rs-10.1.0.11 10.1.0.11'],
  },
  {
    name: 'NAT without forwarding, with the file that sets it',
    change: all(
      nat,
      sysctl(['net.ipv4.ip_forward', '0']),
      facts(() => ({
        sysctlOrigins: new Map([
          ['net.ipv4.ip_forward', { file: '/etc/sysctl.d/10-x.conf', value: '0' }],
        ]),
      })),
    ),
    want: ['broken nat-forwarding net.ipv4.ip_forward'],
    found: /= 0 \(\/etc\/sysctl\.d\/10-x\.conf sets 0 at boot\)/,
    command: 'sysctl -w net.ipv4.ip_forward=1',
  },
  {
    name: 'v6 NAT without forwarding',
    change: all(
      services(service('fd01::100', [destination('fd01::11', { forwarding: { method: 'nat' } })])),
    ),
    want: ['broken nat-forwarding net.ipv6.conf.all.forwarding'],
  },
  {
    name: 'source NAT of IPVS without conntrack',
    change: all(
      nat,
      facts(() => ({ ruleset: { snatForIpvs: ['ip nat'] } })),
    ),
    want: ['broken snat-conntrack net.ipv4.vs.conntrack'],
  },
  {
    name: 'a v6 tunnel that leaves less than 1280',
    change: routes(['fd02::11', route({ mtu: 1300, source: ip('fd01::10') })]),
    want: ['broken path-mtu route to rs-fd02::11 fd02::11'],
    found: /MTU 1300/,
  },
  {
    name: 'an interface smaller than the packets of its tunnels',
    on: realServer,
    change: network(({ links }) => ({
      links: links.map((one) => (one.name === 'eth0' ? { ...one, mtu: 1490 } : one)),
    })),
    want: ['broken path-mtu interface eth0', 'broken path-mtu interface eth0'],
    command: 'ip link set eth0 mtu 1500',
  },
  {
    name: 'handshakes that no client completes, on the port of a virtual service',
    change: handshake({ halfOpen: 5, completed: 5 }),
    want: ['risk handshakes rs-10.2.0.11 10.2.0.11 by tun'],
    found: /^5 connections wait for the client's answer, 5 had it$/,
  },
  {
    name: 'large receive offload where clients come in',
    change: facts(() => ({
      offloads: new Map([
        [1, new Set(['rx-gro'])],
        [2, new Set(['rx-gro', 'rx-lro'])],
        [9, new Set(['rx-lro'])],
      ]),
    })),
    want: ['risk large-receive interface eth0'],
    command: 'ethtool -K eth0 lro off',
  },
  {
    name: 'handshakes behind a firewall mark',
    change: all(
      handshake({ halfOpen: 9, port: 8080, server: ip('10.1.0.11') }),
      services(markService(7, [destination('10.1.0.11', { port: 0 })])),
      host(() => ({
        marks: [
          {
            protocol: 'tcp',
            address: ip('10.1.0.100'),
            ports: { from: 8000, to: 8999 },
            mark: 7,
          },
        ],
      })),
    ),
    want: ['risk handshakes rs-10.1.0.11 10.1.0.11 by dr'],
  },
  ...(['not running', 'with another id', 'on another interface'] as const).map((fault): Row => ({
    name: `a sync daemon ${fault}`,
    change: all(
      synced,
      facts(({ syncDaemons }) => ({
        syncDaemons:
          fault === 'not running'
            ? []
            : (syncDaemons ?? []).map((one) =>
                fault === 'with another id' ? { ...one, syncId: 8 } : { ...one, device: 'eth1' },
              ),
      })),
    ),
    want: ['risk sync-daemon sync daemon master'],
    found: fault === 'not running' ? /^not running$/ : /^id [78] on eth[01], group/,
    ...(fault === 'not running' ? {} : { command: 'ipvsadm --stop-daemon master' }),
  })),
  {
    name: 'a tunnel device that is not there',
    on: realServer,
    change: network(({ links }) => ({ links: links.filter((one) => one.name !== 'lvsf-6') })),
    want: ['broken tunnel-device device lvsf-6'],
    found: /not there/,
  },
  {
    name: 'a tunnel device that is down',
    on: realServer,
    change: network(({ links }) => ({
      links: links.map((one) => (one.name === 'lvsf-4' ? { ...one, up: false } : one)),
    })),
    want: ['broken tunnel-device device lvsf-4'],
    command: 'ip link set lvsf-4 up',
  },
  {
    name: 'a tunnel device with another end',
    on: realServer,
    change: network(({ links }) => ({
      links: links.map((one) => (one.name === 'lvsf-4' ? { ...one, remote: ip('10.9.9.9') } : one)),
    })),
    want: ['broken tunnel-device device lvsf-4'],
  },
  {
    name: 'a director of NAT that sends redirects',
    on: () => all(nat, redirects)(director()),
    change: sysctl(['net.ipv4.conf.eth0.send_redirects', '1']),
    want: ['broken nat-redirects net.ipv4.conf.eth0.send_redirects'],
    found: /= 1$/,
  },
  {
    name: 'a director that drops the answers to its probes',
    change: all(
      host(({ sysctls }) => ({ sysctls: [...sysctls, ACCEPT_LOCAL] })),
      sysctl(['net.ipv4.conf.eth0.accept_local', '0'], ['net.ipv4.conf.all.accept_local', '0']),
    ),
    want: ['risk accept-local net.ipv4.conf.eth0.accept_local'],
    found: /= 0$/,
    command: 'sysctl -w net.ipv4.conf.eth0.accept_local=1',
  },
  {
    name: 'a director that takes them on every interface',
    change: all(
      host(({ sysctls }) => ({ sysctls: [...sysctls, ACCEPT_LOCAL] })),
      sysctl(['net.ipv4.conf.eth0.accept_local', '0'], ['net.ipv4.conf.all.accept_local', '1']),
    ),
    want: [],
  },
  {
    name: 'a path that was measured and carries less than was computed',
    change: facts(() => ({
      paths: { narrow: [NARROW], narrowCount: 1, fittingCount: 3, unknownCount: 1 },
    })),
    want: ['broken path-mtu path to rs-b1 (ipv4 to 10.2.0.11 by tun ipip)'],
    found: /^carries 1380 of 1480 bytes/,
    command: 'tracepath -n 10.2.0.11',
  },
  {
    name: 'paths that were measured and fit, or answer nothing',
    change: facts(() => ({
      paths: { narrow: [], narrowCount: 0, fittingCount: 3, unknownCount: 1 },
    })),
    want: [],
  },
  {
    name: 'a director of NAT that sends none',
    on: () => all(nat, redirects)(director()),
    change: sysctl(['net.ipv4.conf.eth0.send_redirects', '0']),
    want: [],
  },
  {
    name: 'a GRE device that wants no checksums where the directors send them',
    on: () => gre(true),
    change: network(({ links }) => ({
      links: links.map((one) => (one.name === 'lvsf-g' ? { ...one, checksum: false } : one)),
    })),
    want: ['broken tunnel-device device lvsf-g'],
    command: 'ip link change lvsf-g type gre local 10.2.0.11 remote 10.1.0.10 icsum',
  },
  {
    name: 'a GRE device and its checksums as the state has them',
    on: () => gre(true),
    change: (patient) => patient,
    want: [],
  },
  {
    name: 'a GUE port that is not open',
    on: gue,
    change: facts(() => ({ guePorts: [] })),
    want: ['broken gue-port gue port 10.2.0.11:6080'],
    command: 'modprobe fou',
  },
  {
    name: 'a GUE port that is open for every address',
    on: gue,
    change: facts(() => ({
      guePorts: [{ address: null, family: 'ipv4' as const, port: 6080, exact: true }],
    })),
    want: [],
  },
  {
    name: 'a GUE port of which nothing could be seen',
    on: gue,
    change: facts(() => ({ guePorts: null })),
    want: [],
  },
  {
    name: 'strict rp_filter on the device',
    on: realServer,
    change: all(
      sysctl(['net.ipv4.conf.lvsf-4.rp_filter', '1'], ['net.ipv4.conf.all.rp_filter', '0']),
      facts(() => ({ counters: new Map([['TcpExtIPReversePathFilter', 7]]) })),
    ),
    want: ['broken rp-filter device lvsf-4'],
    found: /1 counts; 7 packets dropped/,
    command: 'sysctl -w net.ipv4.conf.lvsf-4.rp_filter=0',
  },
  {
    name: 'loose rp_filter and no address on the device',
    on: realServer,
    change: all(
      without('10.2.0.11', 5),
      host(({ addresses }) => ({ addresses: addresses.slice(0, 2) })),
    ),
    want: ['broken rp-filter device lvsf-4'],
    found: /no IPv4 address/,
  },
  {
    name: 'VIP missing on the real server',
    on: realServer,
    change: without('10.1.0.100'),
    want: ['broken vip-on-real-server VIP 10.1.0.100'],
    command: 'ip addr add 10.1.0.100/32 dev lvsfleet0',
  },
  {
    name: 'somebody put the VIP on eth0 of the real server too',
    on: realServer,
    change: network(({ addresses }) => ({
      addresses: [...addresses, held('10.1.0.100', 2, { prefixLength: 24 })],
    })),
    want: ['broken vip-on-other-interface VIP 10.1.0.100'],
    command: 'ip addr del 10.1.0.100/24 dev eth0',
  },
  {
    name: 'the IPv6 VIP is on eth0 of the real server, and where it belongs it is not',
    on: realServer,
    change: all(
      without('fd01::100'),
      network(({ addresses }) => ({ addresses: [...addresses, held('fd01::100', 2)] })),
    ),
    want: [
      'broken vip-on-real-server VIP fd01::100',
      'broken vip-on-other-interface VIP fd01::100',
    ],
  },
  {
    name: 'the VIP is on lo of the real server too, where nobody asks for it',
    on: realServer,
    change: network(({ addresses }) => ({ addresses: [...addresses, held('10.1.0.100', 1)] })),
    want: [],
  },
  {
    name: 'arp_ignore 0',
    on: realServer,
    change: sysctl(['net.ipv4.conf.all.arp_ignore', '0']),
    want: ['broken arp-sysctls net.ipv4.conf.all.arp_ignore'],
    command: 'sysctl -w net.ipv4.conf.all.arp_ignore=1',
  },
  {
    name: 'arp_announce undone by nobody but low',
    on: realServer,
    change: sysctl(['net.ipv4.conf.all.arp_announce', '1']),
    want: ['broken arp-sysctls net.ipv4.conf.all.arp_announce'],
  },
  {
    name: 'no MSS clamp',
    on: realServer,
    change: facts(({ clamps }) => ({ clamps: (clamps ?? []).slice(1) })),
    want: ['risk mss-clamps MSS clamp of 10.1.0.100'],
  },
  {
    name: 'the wide fallback device is up',
    on: realServer,
    change: network(({ links }) => ({
      links: links.map((one) => (one.name === 'tunl0' ? { ...one, up: true } : one)),
    })),
    want: ['risk decapsulation-open device tunl0'],
    command: 'ip link set tunl0 down',
  },
  {
    name: 'a drained destination of a persistent virtual service',
    change: persistent([1, 0]),
    want: ['risk persistence-drain virtual service tcp/10.1.0.100:80 (vs-10.1.0.100)'],
    command: 'sysctl -w net.ipv4.vs.expire_quiescent_template=1',
  },
  {
    name: 'a director that is a tunnelled real server of others',
    on: realServer,
    change: all(
      services(
        service('10.1.0.100', [destination('10.2.0.11', { forwarding: { method: 'local' } })]),
      ),
      sysctl(['net.ipv4.vs.ignore_tunneled', '0']),
    ),
    want: ['risk director-loop net.ipv4.vs.ignore_tunneled'],
  },
  {
    name: 'a sysctl of the state with another value',
    change: sysctl(['net.ipv4.vs.conn_reuse_mode', '1']),
    want: ['risk sysctls net.ipv4.vs.conn_reuse_mode'],
  },
  {
    name: 'keepalived with a virtual service of its own',
    change: facts(() => ({
      managers: [{ name: 'keepalived', pid: 77 }],
      services: [observed('10.1.0.200')],
    })),
    want: ['risk foreign-manager process keepalived'],
    found: /77 .* 1 virtual services are not the fleet's: tcp\/10\.1\.0\.200:80/,
  },
  {
    name: 'a virtual service of nobody',
    change: facts(() => ({ services: [observed('10.1.0.200')] })),
    want: ['info foreign-manager 1 virtual services'],
  },
  {
    name: 'the wrong network namespace',
    change: all(
      network(() => ({ links: [link(1, 'lo')], addresses: [] })),
      facts(() => ({ namespace: { own: 'net:[2]', first: 'net:[1]' } })),
    ),
    want: ['broken network-namespace namespace net:[2]'],
    found: /not the namespace that the host booted with/,
  },
  {
    name: 'conntrack nearly full',
    change: sysctl(
      ['net.netfilter.nf_conntrack_count', '900'],
      ['net.netfilter.nf_conntrack_max', '1000'],
    ),
    want: ['risk table-limits net.netfilter.nf_conntrack_max'],
  },
  {
    name: 'conntrack full',
    change: sysctl(
      ['net.netfilter.nf_conntrack_count', '1000'],
      ['net.netfilter.nf_conntrack_max', '1000'],
    ),
    want: ['broken table-limits net.netfilter.nf_conntrack_max'],
  },
  {
    name: 'a clock that is wrong',
    change: facts(() => ({ clockSkewSeconds: -95 })),
    want: ['risk clock-skew clock'],
    found: /95 s behind/,
  },
  {
    name: 'a state directory that cannot be written',
    change: facts(() => ({
      stateDirectory: { error: 'cannot be written: EROFS', freeBytes: null },
    })),
    want: ['broken state-directory state directory'],
  },
  {
    name: 'a full disk',
    change: facts(() => ({ stateDirectory: { error: null, freeBytes: 1024 } })),
    want: ['risk state-directory state directory'],
  },
]

function observed(address: string): NonNullable<Facts['services']>[number] {
  return {
    protocol: 'tcp',
    address: ip(address),
    port: 80,
    scheduler: 'rr',
    flags: [],
    persistence: null,
    exact: true,
    stats: { connections: 0n, inPackets: 0n, outPackets: 0n, inBytes: 0n, outBytes: 0n },
  }
}

function run({ on = director, change }: Row) {
  return examine(ALL_CHECKS, change(on()))
}

describe('checks find nothing on', () => {
  for (const row of HEALTHY) it(row.name, () => assert.deepEqual(run(row), []))
})

describe('checks find exactly', () => {
  for (const row of ILL) {
    it(row.name, () => {
      const findings = run(row)
      assert.deepEqual(
        findings.map(({ severity, check, object }) => `${severity} ${check} ${object}`),
        row.want,
      )
      const [first] = findings
      if (row.found !== undefined) assert.match(first?.found ?? '', row.found)
      if (row.command !== undefined) assert.equal(first?.commands[0], row.command)
      // What a report may carry, and never without a way out.
      for (const finding of findings) {
        findingSchema.parse(finding)
        assert.ok(finding.commands.length > 0, finding.check)
      }
    })
  }

  it('each check has a row', () => {
    const named = new Set(ILL.flatMap(({ want }) => want.map((line) => line.split(' ')[1])))
    assert.deepEqual(
      ALL_CHECKS.map(({ id }) => id).filter((id) => !named.has(id)),
      [],
    )
  })
})
