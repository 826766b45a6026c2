/**
 * MTU: what a real server announces as MSS implies how large the packets of its tunnels are; the interface
 * that they come in by must take them. And an IPv6 tunnel that leaves less than 1280 bytes drops silently.
 */
import {
  familyOf,
  type ClampState,
  type DeviceState,
  type Family,
  type Ip,
} from '@lvs-fleet/contract'
import type { ObservedLink } from '../../kernel/kernel.ts'
import type { Check, Found, Patient } from '../check.ts'
import { DECAPSULATING } from './tunnel-devices.ts'

/** RFC 8200: the least that every IPv6 link must carry. */
const IPV6_MIN_MTU = 1280
/** Outer headers without options: 20 bytes of IPv4, 40 of IPv6 (kernel/ip_tunnel, no encapsulation limit). */
const OUTER_BYTES = { ipv4: 20, ipv6: 40 } as const
/** IP and TCP header of the packet inside. */
const INNER_BYTES = { ipv4: 40, ipv6: 60 } as const

export const mssClamps: Check = {
  id: 'mss-clamps',
  title: 'the MSS that fits the tunnel is announced',
  examine: ({ facts, state }) => {
    const standing = facts.clamps
    if (standing === null) return []
    return state.host.clamps.flatMap((clamp): Found[] => {
      const held = standing.find(({ address }) => address === clamp.address)
      if (held?.mss === clamp.mss) return []
      return [
        {
          severity: 'risk',
          object: `MSS clamp of ${clamp.address}`,
          found: held === undefined ? 'none' : String(held.mss),
          wanted: String(clamp.mss),
          why: 'clients send segments that do not fit into the tunnel, and depend on ICMP that networks eat',
          symptom: 'uploads hang after the handshake, downloads and small requests work',
          commands: ['apt-get install nftables', 'lvsfleet-agent doctor --fix'],
          fixable: facts.capabilities?.nftables !== 'no',
        },
      ]
    })
  },
}

export const pathMtu: Check = {
  id: 'path-mtu',
  title: 'interfaces and routes carry what the tunnels need',
  examine: (patient) => [...incoming(patient), ...outgoing(patient), ...measured(patient)],
}

/** On a director: what the paths carried when its agent last measured them, against what was computed. */
function measured({ facts }: Patient): Found[] {
  return (facts.paths?.narrow ?? []).map(({ realServer, path, vip, mtu, carries }): Found => ({
    severity: 'broken',
    object: `path to ${realServer} (${path})`,
    found: `carries ${carries} of ${mtu} bytes, measured with datagrams to ${vip}`,
    wanted: `${mtu} bytes inside, as computed from networks, paths and tunnel`,
    why: 'full packets vanish on the way, and real servers announce an MSS that is too large for it',
    symptom: 'uploads hang after the handshake, downloads and small requests work',
    commands: [
      `tracepath -n ${realServerAddress(path)}`,
      `# mend the way, or say the smaller MTU in networks or paths of the site: ${mtu - carries} bytes less`,
      '# what a router said is believed for ten minutes: ip route flush cache; ip -6 route flush cache',
    ],
    fixable: false,
  }))
}

/** `ipv4 to 10.2.0.11 by tun ipip` names it. */
function realServerAddress(path: string): string {
  return path.split(' ')[2] ?? path
}

/** On a real server: the announced MSS, with headers and tunnel around it, must fit the interface. */
function incoming(patient: Patient): Found[] {
  const { state } = patient
  return state.host.devices.flatMap((device): Found[] => {
    if (device.kind === 'dummy') return []
    const need = neededBytes(device, state.host.clamps)
    const link = interfaceOf(device.local, patient)
    if (need === undefined || link === undefined || link.mtu >= need) return []
    return [
      mtuFinding(`interface ${link.name}`, link.mtu, need, `ip link set ${link.name} mtu ${need}`),
    ]
  })
}

/** The address stands on tunnel devices too, for rp_filter; packets come in by the interface beneath. */
function interfaceOf(local: Ip, { facts, state }: Patient): ObservedLink | undefined {
  const own = new Set(state.host.devices.map(({ name }) => name))
  return facts.network.links.find(
    ({ index, name, kind }) =>
      !own.has(name) &&
      !DECAPSULATING.has(kind) &&
      facts.network.addresses.some((one) => one.address === local && one.linkIndex === index),
  )
}

/** Only families that the device unpacks; the least MSS is the one that the state computed for the worst path. */
function neededBytes(
  device: Exclude<DeviceState, { kind: 'dummy' }>,
  clamps: readonly ClampState[],
): number | undefined {
  const inside = clamps.filter(({ address }) => carries(device.kind, familyOf(address)))
  if (inside.length === 0) return undefined
  const least = Math.min(...inside.map((c) => c.mss + INNER_BYTES[familyOf(c.address)]))
  return least + OUTER_BYTES[familyOf(device.local)] + greBytes(device)
}

function carries(kind: DeviceState['kind'], inner: Family): boolean {
  if (kind === 'ipip') return inner === 'ipv4'
  return kind !== 'sit' || inner === 'ipv6'
}

/** RFC 2784: 4 bytes, and 4 more with a checksum. */
function greBytes(device: DeviceState): number {
  return 'checksum' in device ? (device.checksum ? 8 : 4) : 0
}

/** On a director: below this the kernel drops without a word (ip_vs_xmit.c, ensure_mtu_is_adequate). */
function outgoing({ facts, state }: Patient): Found[] {
  const found = new Map<string, Found>()
  for (const { destinations } of state.services) {
    for (const { address, forwarding, realServer } of destinations) {
      if (forwarding.method !== 'tun' || familyOf(address) !== 'ipv6') continue
      const route = facts.routes.get(address)
      if (route === undefined || !route.ok) continue
      const link = facts.network.links.find(({ index }) => index === route.linkIndex)
      const mtu = Math.min(route.mtu ?? Infinity, link?.mtu ?? Infinity)
      const need = IPV6_MIN_MTU + OUTER_BYTES.ipv6
      if (mtu >= need) continue
      const command = `ip link set ${link?.name ?? 'DEVICE'} mtu 1500`
      found.set(address, mtuFinding(`route to ${realServer} ${address}`, mtu, need, command))
    }
  }
  return [...found.values()]
}

function mtuFinding(object: string, mtu: number, need: number, command: string): Found {
  return {
    severity: 'broken',
    object,
    found: `MTU ${mtu}`,
    wanted: `at least ${need}`,
    why: 'full packets of the tunnel do not fit and are dropped',
    symptom: 'uploads hang after the handshake, downloads and small requests work',
    commands: [command, '# or say the smaller MTU in networks or paths of the site'],
    fixable: false,
  }
}
