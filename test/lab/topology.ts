// The lab's networks as data, and the plan that builds them in the guest.
// Two sites with a router each, joined by a WAN link; clients on a segment of their own; a management
// bridge to the API. The VIPs are data only: configuring them is the work of the system under test.
import type { NamespacePlan, TopologyPlan } from './protocol.ts'

export type Segment = {
  readonly name: string
  readonly router: string
  /** Bridge in the router that is the segment; the router's address is on it. */
  readonly bridge: string
  readonly v4: { readonly router: string; readonly prefix: number }
  readonly v6: { readonly router: string; readonly prefix: number }
}
export type Host = {
  readonly name: string
  readonly segment: string
  readonly v4: string
  readonly v6: string
}
export type Router = {
  readonly name: string
  readonly wan: { readonly v4: string; readonly v6: string }
  /** Everything behind this router, as the other one sees it. */
  readonly behind: { readonly v4: string; readonly v6: string }
}
export type Topology = {
  readonly name: string
  readonly routers: readonly [Router, Router]
  readonly segments: readonly Segment[]
  readonly hosts: readonly Host[]
  readonly vips: Readonly<Record<string, { readonly v4: string; readonly v6: string }>>
}

/** Where the hosts of the topology find the API of the test. */
export const API = { address: '192.0.2.1', port: 8080, url: 'http://192.0.2.1:8080' } as const

export const twoSites: Topology = {
  name: 'twoSites',
  routers: [
    {
      name: 'rt-a',
      wan: { v4: '10.0.0.1', v6: 'fd00::1' },
      behind: { v4: '10.1.0.0/16', v6: 'fd01::/32' },
    },
    {
      name: 'rt-b',
      wan: { v4: '10.0.0.2', v6: 'fd00::2' },
      behind: { v4: '10.2.0.0/16', v6: 'fd02::/32' },
    },
  ],
  segments: [...siteSegments('a', 1), ...siteSegments('b', 2)],
  hosts: [...siteHosts('a', 1), ...siteHosts('b', 2)],
  vips: {
    a: { v4: '10.1.0.100', v6: 'fd01::100' },
    b: { v4: '10.2.0.100', v6: 'fd02::100' },
  },
}

function siteSegments(site: string, n: number): Segment[] {
  const router = `rt-${site}`
  return [
    {
      name: `servers-${site}`,
      router,
      bridge: 'servers',
      v4: { router: `10.${n}.0.1`, prefix: 24 },
      v6: { router: `fd0${n}::1`, prefix: 64 },
    },
    {
      name: `clients-${site}`,
      router,
      bridge: 'clients',
      v4: { router: `10.${n}.9.1`, prefix: 24 },
      v6: { router: `fd0${n}:0:0:9::1`, prefix: 64 },
    },
  ]
}

function siteHosts(site: string, n: number): Host[] {
  const server = (name: string, id: number): Host => ({
    name: `${name}`,
    segment: `servers-${site}`,
    v4: `10.${n}.0.${id}`,
    v6: `fd0${n}::${id}`,
  })
  return [
    { name: `cl-${site}`, segment: `clients-${site}`, v4: `10.${n}.9.2`, v6: `fd0${n}:0:0:9::2` },
    server(`dir-${site}`, 10),
    server(`rs-${site}1`, 11),
    server(`rs-${site}2`, 12),
  ]
}

/** All namespaces of the topology, routers included. */
export function namespaces(topology: Topology): string[] {
  return [...topology.routers, ...topology.hosts].map(({ name }) => name)
}

export function findHost(topology: Topology, name: string): Host {
  const host = topology.hosts.find((candidate) => candidate.name === name)
  if (!host) throw new Error(`topology ${topology.name} has no host ${name}`)
  return host
}

/** The far end of a link: taking it down makes `iface` lose its carrier, as a pulled cable does. */
export function linkPeer(topology: Topology, name: string, iface: string) {
  const router = topology.routers.find((candidate) => candidate.name === name)
  if (iface === 'mgmt') return { host: 'root', iface: `m-${name}` }
  if (router && iface === 'wan') return { host: 'root', iface: `w-${name}` }
  const host = topology.hosts.find((candidate) => candidate.name === name)
  if (!host || iface !== 'eth0') throw new Error(`the lab has no link ${name}/${iface} to cut`)
  return { host: segmentOf(topology, host).router, iface: `s-${name}` }
}

export function planTopology(topology: Topology): TopologyPlan {
  return {
    rootSysctls: DISTRIBUTION_SYSCTLS,
    rootBatch: rootBatch(topology),
    namespaces: [
      ...topology.routers.map((router) => planRouter(topology, router)),
      ...topology.hosts.map((host) => planHost(topology, host)),
    ],
  }
}

/**
 * What a systemd distribution sets before it makes interfaces. IPv4 settings of the guest's own
 * namespace are inherited by the namespaces created after.
 */
const DISTRIBUTION_SYSCTLS = {
  'net.ipv4.conf.default.rp_filter': '2',
  'net.ipv4.conf.default.accept_source_route': '0',
  'net.ipv4.conf.default.promote_secondaries': '1',
}

/** Bridges get a MAC address of their own: else it changes with each port, and neighbours go stale. */
function bridge(name: string, mac: string): string {
  return `link add ${name} address ${mac} type bridge mcast_snooping 0`
}

function rootBatch(topology: Topology): string[] {
  const all = namespaces(topology)
  return [
    bridge('br-mgmt', '02:00:00:00:02:01'),
    `addr add ${API.address}/24 dev br-mgmt`,
    'link set br-mgmt up',
    bridge('br-wan', '02:00:00:00:03:01'),
    'link set br-wan up',
    ...all.map((name) => `netns add ${name}`),
    ...all.map((name) => `link add m-${name} type veth peer name mgmt netns ${name}`),
    ...all.map((name) => `link set m-${name} master br-mgmt up`),
    ...topology.routers.flatMap(({ name }) => [
      `link add w-${name} type veth peer name wan netns ${name}`,
      `link set w-${name} master br-wan up`,
    ]),
    ...topology.hosts.map((host) => {
      const { router } = segmentOf(topology, host)
      return `link add s-${host.name} netns ${router} type veth peer name eth0 netns ${host.name}`
    }),
  ]
}

function planRouter(topology: Topology, router: Router): NamespacePlan {
  const segments = topology.segments.filter((segment) => segment.router === router.name)
  const [first, second] = topology.routers
  const other = router === first ? second : first
  return {
    host: router.name,
    sysctls: {
      'net.ipv4.ip_forward': '1',
      'net.ipv6.conf.all.forwarding': '1',
      ...acceptDad('0', ['default', 'wan', 'mgmt']),
    },
    sysctlsAfter: {},
    batch: [
      ...baseBatch(topology, router.name),
      'link set wan up',
      `addr add ${router.wan.v4}/24 dev wan`,
      `addr add ${router.wan.v6}/64 dev wan nodad`,
      ...segments.flatMap((segment, index) => segmentBatch(topology, segment, index)),
      `route add ${other.behind.v4} via ${other.wan.v4}`,
      `route add ${other.behind.v6} via ${other.wan.v6}`,
    ],
  }
}

function segmentBatch(topology: Topology, segment: Segment, index: number): string[] {
  const hosts = topology.hosts.filter((host) => host.segment === segment.name)
  return [
    bridge(segment.bridge, `02:00:00:00:01:0${index + 1}`),
    `link set ${segment.bridge} up`,
    ...hosts.map((host) => `link set s-${host.name} master ${segment.bridge} up`),
    `addr add ${segment.v4.router}/${segment.v4.prefix} dev ${segment.bridge}`,
    `addr add ${segment.v6.router}/${segment.v6.prefix} dev ${segment.bridge} nodad`,
  ]
}

function planHost(topology: Topology, host: Host): NamespacePlan {
  const segment = segmentOf(topology, host)
  return {
    host: host.name,
    sysctls: acceptDad('0', ['eth0', 'mgmt']),
    sysctlsAfter: acceptDad('1', ['eth0', 'mgmt']),
    batch: [
      ...baseBatch(topology, host.name),
      'link set eth0 up',
      `addr add ${host.v4}/${segment.v4.prefix} dev eth0`,
      `addr add ${host.v6}/${segment.v6.prefix} dev eth0 nodad`,
      `route add default via ${segment.v4.router}`,
      `route add ::/0 via ${segment.v6.router}`,
    ],
  }
}

/**
 * Duplicate address detection of link-local addresses keeps neighbour discovery silent for two
 * seconds after boot. The lab skips it for its own addresses; what is added later has it as ever.
 */
function acceptDad(value: string, interfaces: readonly string[]): Record<string, string> {
  return Object.fromEntries(interfaces.map((name) => [`net.ipv6.conf.${name}.accept_dad`, value]))
}

function baseBatch(topology: Topology, name: string): string[] {
  const id = 11 + namespaces(topology).indexOf(name)
  return ['link set lo up', 'link set mgmt up', `addr add 192.0.2.${id}/24 dev mgmt`]
}

function segmentOf(topology: Topology, host: Host): Segment {
  const segment = topology.segments.find(({ name }) => name === host.segment)
  if (!segment) throw new Error(`host ${host.name} is on unknown segment ${host.segment}`)
  return segment
}
