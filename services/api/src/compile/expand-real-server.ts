/**
 * What one real server must look like so that DR and TUN packets are answered: VIPs on a device that does
 * not answer ARP, one narrow decapsulation device per director address, GUE ports, reverse-path and ARP
 * sysctls, and the MSS that fits the tunnel. Needs only the routes that lead to it.
 */
import {
  compareIps,
  familyOf,
  fnv1a32,
  guePortKey,
  invariant,
  type AddressState,
  type ClampState,
  type DeviceState,
  type Family,
  type GuePortState,
  type HostState,
  type Ip,
  type SysctlState,
  type Tunnel,
} from '@lvs-fleet/contract'
import type { DirectorSpec, RealServerSpec, VirtualServiceSpec } from '../intent/kinds.ts'
import type { Route } from './destinations.ts'
import type { FleetIndex } from './fleet-index.ts'
import { innerMtu, mssFor } from './mtu.ts'

/** The dummy device that holds the VIPs: IPv6 addresses on it answer no NDP, IPv4 ones no ARP (arp_ignore). */
export const VIP_DEVICE = 'lvsfleet0'

/** A route that ends at the real server in question. */
export type IncomingRoute = {
  readonly director: DirectorSpec
  readonly service: VirtualServiceSpec
  readonly route: Route
}

export function expandRealServer(
  server: RealServerSpec,
  incoming: readonly IncomingRoute[],
  index: FleetIndex,
): HostState {
  const vips = new Set<Ip>()
  const devices = new Map<string, DeviceState>()
  const guePorts = new Map<string, GuePortState>()
  const ipv4On = new Map<string, Ip>()
  const mss = new Map<Ip, number>()
  let lingerSeconds = 0
  for (const { director, service, route } of incoming) {
    if (!route.choice.ok) continue
    const { forwarding, address } = route.choice
    if (forwarding.method !== 'dr' && forwarding.method !== 'tun') continue
    vips.add(route.vip)
    lingerSeconds = Math.max(lingerSeconds, service.drainSeconds)
    if (forwarding.method !== 'tun') continue
    const { tunnel } = forwarding
    if (tunnel.type === 'gue') {
      const guePort = { address, port: tunnel.port }
      guePorts.set(guePortKey(guePort), guePort)
    }
    for (const device of tunnelDevices(tunnel, route.vip, address, director)) {
      devices.set(device.name, device)
      const inner = innerIpv4(device, route.vip, address)
      if (inner !== undefined) ipv4On.set(device.name, inner)
    }
    if (service.protocol !== 'tcp') continue
    const mtu = innerMtu(index.pathMtu(director.site, server.site), tunnel, familyOf(address))
    const least = Math.max(536, mssFor(mtu, familyOf(route.vip)))
    mss.set(route.vip, Math.min(least, mss.get(route.vip) ?? Infinity))
  }
  const tunnels = [...devices.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return {
    adopt: server.adopt,
    lingerSeconds,
    devices: vips.size === 0 ? [] : [{ name: VIP_DEVICE, kind: 'dummy' }, ...tunnels],
    guePorts: [...guePorts.values()].toSorted(byAddressAndPort),
    addresses: [...vipAddresses(vips), ...tunnelAddresses(tunnels, ipv4On)],
    sysctls: realServerSysctls(vips, tunnels, ipv4On),
    clamps: clampsOf(mss),
    sourceNats: [],
    services: [],
  }
}

/** One device per address of the director: the outer source is the one that its route picks. */
function tunnelDevices(tunnel: Tunnel, vip: Ip, local: Ip, director: DirectorSpec): DeviceState[] {
  const outer = familyOf(local)
  return director.addresses
    .filter((remote) => familyOf(remote) === outer)
    .map((remote): DeviceState => {
      if (tunnel.type === 'gre') {
        const kind = outer === 'ipv6' ? 'ip6gre' : 'gre'
        const name = tunnelName(kind, local, remote)
        return { name, kind, local, remote, checksum: tunnel.checksum }
      }
      const kind = plainKind(outer, familyOf(vip))
      return { name: tunnelName(kind, local, remote), kind, local, remote }
    })
}

/** What GUE carried comes out as protocol 4 or 41 from the same sender: the devices of IPIP take it. */
function plainKind(outer: Family, inner: Family): 'ipip' | 'sit' | 'ip6tnl' {
  if (outer === 'ipv6') return 'ip6tnl'
  return inner === 'ipv4' ? 'ipip' : 'sit'
}

/** At most 15 bytes, the same on every run: `lvsf-` and 8 hex digits of what the device is. */
function tunnelName(kind: string, local: Ip, remote: Ip): string {
  return `lvsf-${fnv1a32(`${kind} ${local} ${remote}`).toString(16).padStart(8, '0')}`
}

function vipAddresses(vips: ReadonlySet<Ip>): AddressState[] {
  return [...vips]
    .toSorted(compareIps)
    .map((address) => ({ address, place: { device: VIP_DEVICE } }))
}

/**
 * With rp_filter 2, the default of systemd distributions, a device without any IPv4 address drops the IPv4
 * packets that it decapsulates. The host's own address on it is enough (an unnumbered interface); a host
 * that is reached over IPv6 may have none, then the VIP serves.
 */
function innerIpv4(device: DeviceState, vip: Ip, own: Ip): Ip | undefined {
  if (device.kind === 'dummy' || familyOf(vip) === 'ipv6') return undefined
  return familyOf(own) === 'ipv4' ? own : vip
}

function tunnelAddresses(
  tunnels: readonly DeviceState[],
  ipv4On: ReadonlyMap<string, Ip>,
): AddressState[] {
  return tunnels.flatMap(({ name }) => {
    const address = ipv4On.get(name)
    return address === undefined ? [] : [{ address, place: { device: name } }]
  })
}

function realServerSysctls(
  vips: ReadonlySet<Ip>,
  tunnels: readonly DeviceState[],
  ipv4On: ReadonlyMap<string, Ip>,
): SysctlState[] {
  const sysctls: SysctlState[] = []
  if ([...vips].some((vip) => familyOf(vip) === 'ipv4')) {
    // Answer ARP only for addresses of the interface asked, and never announce a VIP: ip-sysctl.rst.
    sysctls.push({ key: 'net.ipv4.conf.all.arp_ignore', value: '1', accept: ['1', '2'] })
    sysctls.push({ key: 'net.ipv4.conf.all.arp_announce', value: '2', accept: ['2'] })
  }
  const decapsulating = tunnels.filter(({ name }) => ipv4On.has(name))
  if (decapsulating.length > 0) {
    // The larger of `all` and the device's own value counts; strict (1) would drop every decapsulated packet.
    sysctls.push({ key: 'net.ipv4.conf.all.rp_filter', value: '2', accept: ['0', '2'] })
    for (const { name } of decapsulating) {
      sysctls.push({ key: `net.ipv4.conf.${name}.rp_filter`, value: '0', accept: ['0', '2'] })
    }
  }
  return sysctls
}

function byAddressAndPort(a: GuePortState, b: GuePortState): number {
  return compareIps(a.address, b.address) || a.port - b.port
}

function clampsOf(mss: ReadonlyMap<Ip, number>): ClampState[] {
  return [...mss]
    .map(([address, value]) => ({ address, mss: value }))
    .toSorted((a, b) => compareIps(a.address, b.address))
}

/** Two tunnels with one name would overwrite each other; the chance is small, the harm is not. */
export function assertDistinctDevices(devices: readonly DeviceState[]): void {
  const names = new Set(devices.map((device) => device.name))
  invariant(names.size === devices.length, 'two tunnel devices of one host have one name')
}
