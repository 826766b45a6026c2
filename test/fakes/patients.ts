/** Healthy hosts for the doctor's tests, in the addresses of the kernel lab: a director and a real server. */
import { ip, type Capabilities, type HostPart } from '@lvs-fleet/contract'
import type { InForceView, Patient } from '../../services/agent/src/doctor/check.ts'
import type { Facts } from '../../services/agent/src/doctor/facts/facts.ts'
import type { RouteAnswer } from '../../services/agent/src/kernel/inspect/inspector.ts'
import type { ObservedAddress, ObservedLink } from '../../services/agent/src/kernel/kernel.ts'
import { destination, hostState, service } from './states.ts'

export const ABLE: Capabilities = {
  kernelRelease: '6.1.0-test',
  ipvs: 'yes',
  ipvsVersion: '1.2.1',
  connectionTableSize: 4096,
  schedulers: { wrr: 'yes', rr: 'yes', twos: 'no' },
  tunnels: { ipip: 'yes', gre: 'yes', gue: 'yes' },
  decapsulation: { ipip: 'yes', sit: 'yes', ip6tnl: 'yes' },
  syncDaemon: 'yes',
  nftables: 'yes',
}

export function link(
  index: number,
  name: string,
  fields: Partial<ObservedLink> = {},
): ObservedLink {
  const ends = { local: null, remote: null, checksum: false }
  return { index, name, kind: '', up: true, mtu: 1500, ...ends, ...fields }
}

export function held(
  address: string,
  linkIndex: number,
  fields: Partial<Omit<ObservedAddress, 'address'>> = {},
): ObservedAddress {
  const isIpv6 = address.includes(':')
  return {
    address: ip(address),
    prefixLength: isIpv6 ? 128 : 32,
    linkIndex,
    deprecated: false,
    ...fields,
  }
}

export function route(fields: Partial<Extract<RouteAnswer, { ok: true }>> = {}): RouteAnswer {
  return {
    ok: true,
    isLocal: false,
    gateway: null,
    linkIndex: 2,
    source: ip('10.1.0.10'),
    mtu: null,
    ...fields,
  }
}

const NO_FACTS: Facts = {
  capabilities: ABLE,
  namespace: { own: 'net:[1]', first: 'net:[1]' },
  sysctls: new Map(),
  sysctlOrigins: new Map(),
  network: { links: [], addresses: [] },
  guePorts: [],
  clamps: [],
  syncDaemons: [],
  services: [],
  ipvsError: null,
  destinations: null,
  handshakes: [],
  routes: new Map(),
  paths: null,
  neighbours: [],
  duplicates: new Map(),
  offloads: new Map([[2, new Set(['rx-checksum', 'rx-gro'])]]),
  managers: [],
  ruleset: { snatForIpvs: [] },
  counters: new Map(),
  stateDirectory: { error: null, freeBytes: 1e9 },
  clockSkewSeconds: 0,
}

/** VIP in both families, one real server by DR, one by TUN over each family. */
export function director(): Patient {
  const host: Partial<HostPart> = {
    addresses: [
      { address: ip('10.1.0.100'), place: { holding: ip('10.1.0.10') } },
      { address: ip('fd01::100'), place: { holding: ip('fd01::10') } },
    ],
    sysctls: [{ key: 'net.ipv4.vs.conn_reuse_mode', value: '2', accept: ['2', '3'] }],
  }
  const tun = { method: 'tun', tunnel: { type: 'ipip' } } as const
  const state = hostState(
    [
      service('10.1.0.100', [
        destination('10.1.0.11'),
        destination('10.2.0.11', { forwarding: tun }),
      ]),
      service('fd01::100', [destination('fd02::11', { forwarding: tun })]),
    ],
    host,
  )
  return {
    facts: {
      ...NO_FACTS,
      network: {
        links: [link(1, 'lo'), link(2, 'eth0')],
        addresses: [
          held('127.0.0.1', 1),
          held('10.1.0.10', 2, { prefixLength: 24 }),
          held('fd01::10', 2, { prefixLength: 64 }),
          held('10.1.0.100', 2),
          held('fd01::100', 2, { deprecated: true }),
        ],
      },
      sysctls: new Map([
        ['net.ipv4.ip_forward', '0'],
        ['net.ipv6.conf.all.forwarding', '0'],
        ['net.ipv4.vs.conntrack', '0'],
        ['net.ipv4.vs.expire_quiescent_template', '0'],
        ['net.ipv4.vs.ignore_tunneled', '0'],
        ['net.ipv4.vs.conn_reuse_mode', '2'],
      ]),
      routes: new Map([
        [ip('10.1.0.11'), route()],
        [ip('10.2.0.11'), route({ gateway: ip('10.1.0.1') })],
        [ip('fd02::11'), route({ gateway: ip('fd01::1'), source: ip('fd01::10') })],
      ]),
    },
    state: viewOf(state),
  }
}

/** Answers for two VIPs, through one tunnel device for each family. */
export function realServer(): Patient {
  const state = hostState([], {
    devices: [
      { name: 'lvsfleet0', kind: 'dummy' },
      { name: 'lvsf-4', kind: 'ipip', local: ip('10.2.0.11'), remote: ip('10.1.0.10') },
      { name: 'lvsf-6', kind: 'ip6tnl', local: ip('fd02::11'), remote: ip('fd01::10') },
    ],
    addresses: [
      { address: ip('10.1.0.100'), place: { device: 'lvsfleet0' } },
      { address: ip('fd01::100'), place: { device: 'lvsfleet0' } },
      { address: ip('10.2.0.11'), place: { device: 'lvsf-4' } },
    ],
    sysctls: [
      { key: 'net.ipv4.conf.all.arp_ignore', value: '1', accept: ['1', '2'] },
      { key: 'net.ipv4.conf.all.arp_announce', value: '2', accept: ['2'] },
      { key: 'net.ipv4.conf.all.rp_filter', value: '2', accept: ['0', '2'] },
      { key: 'net.ipv4.conf.lvsf-4.rp_filter', value: '0', accept: ['0', '2'] },
    ],
    clamps: [
      { address: ip('10.1.0.100'), mss: 1440 },
      { address: ip('fd01::100'), mss: 1400 },
    ],
  })
  return {
    facts: {
      ...NO_FACTS,
      network: {
        links: [
          link(1, 'lo'),
          link(2, 'eth0'),
          link(3, 'tunl0', { kind: 'ipip', up: false }),
          link(4, 'lvsfleet0', { kind: 'dummy' }),
          link(5, 'lvsf-4', { kind: 'ipip', local: ip('10.2.0.11'), remote: ip('10.1.0.10') }),
          link(6, 'lvsf-6', { kind: 'ip6tnl', local: ip('fd02::11'), remote: ip('fd01::10') }),
        ],
        addresses: [
          held('10.2.0.11', 2, { prefixLength: 24 }),
          held('fd02::11', 2, { prefixLength: 64 }),
          held('10.1.0.100', 4),
          held('fd01::100', 4, { deprecated: true }),
          held('10.2.0.11', 5),
        ],
      },
      clamps: state.clamps,
      sysctls: new Map([
        ['net.ipv4.conf.all.arp_ignore', '1'],
        ['net.ipv4.conf.all.arp_announce', '2'],
        ['net.ipv4.conf.all.rp_filter', '2'],
        ['net.ipv4.conf.eth0.rp_filter', '2'],
        ['net.ipv4.conf.lvsf-4.rp_filter', '0'],
      ]),
    },
    state: viewOf(state),
  }
}

function viewOf(state: ReturnType<typeof hostState>): InForceView {
  const { services, ...host } = state
  return {
    source: 'disk',
    host,
    services: [...services],
    ownedServices: new Set(),
    pending: { ops: [], conflicts: [] },
  }
}
