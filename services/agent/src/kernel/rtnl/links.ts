/**
 * Links: dump, creation, edit and removal messages. A created device is narrowed to one remote end (see
 * DeviceState) and is up from its first moment: the flags ride on RTM_NEWLINK, so there is no state
 * in between that a crash could leave behind.
 */
import { bytesToIp, familyOf, ipToBytes, type DeviceState, type Ip } from '@lvs-fleet/contract'
import type { ObservedLink } from '../kernel.ts'
import { required } from '../netlink/attributes.ts'
import { NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST } from '../netlink/constants.ts'
import { malformed, type NetlinkMessage } from '../netlink/message.ts'
import { MessageWriter } from '../netlink/message-writer.ts'
import {
  AF_UNSPEC,
  GRE,
  GRE_CSUM,
  IFF_UP,
  IP6_TNL_F_IGN_ENCAP_LIMIT,
  LINK,
  LINK_HEADER_BYTES,
  RTEXT_FILTER_SKIP_STATS,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWLINK,
  TUNNEL,
  TUNNEL_PROTOCOL_ANY,
  type GreAttributes,
  type LinkInfoAttributes,
  type TunnelAttributes,
} from './constants.ts'

const TUNNEL_KINDS: ReadonlySet<string> = new Set(['ipip', 'sit', 'ip6tnl'])
const GRE_KINDS: ReadonlySet<string> = new Set(['gre', 'ip6gre'])
const KINDS_OVER_IPV6: ReadonlySet<string> = new Set(['ip6tnl', 'ip6gre'])
/** The default is to copy the inner one, which hides the tunnel's hops from nobody but traceroute. */
const TTL = 64

export function dumpLinks(writer: MessageWriter): void {
  beginLink(writer, { type: RTM_GETLINK, flags: NLM_F_REQUEST | NLM_F_DUMP, index: 0, up: false })
  LINK.encode(writer, { extendedMask: RTEXT_FILTER_SKIP_STATS })
  writer.end()
}

export function createDevice(writer: MessageWriter, device: DeviceState): void {
  const flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL
  beginLink(writer, { type: RTM_NEWLINK, flags, index: 0, up: true })
  LINK.encode(writer, { name: device.name, info: deviceInfo(device) })
  writer.end()
}

/** All settings go along: the kernel fills what is missing with zeros (ipgre_changelink, ip6gre_changelink). */
export function updateDevice(writer: MessageWriter, device: DeviceState, index: number): void {
  beginLink(writer, { type: RTM_NEWLINK, flags: NLM_F_REQUEST, index, up: false })
  LINK.encode(writer, { info: deviceInfo(device) })
  writer.end()
}

/** ipip, sit and gre travel over IPv4, ip6tnl and ip6gre over IPv6. */
export function endsFit(device: DeviceState): boolean {
  if (device.kind === 'dummy') return true
  const family = KINDS_OVER_IPV6.has(device.kind) ? 'ipv6' : 'ipv4'
  return familyOf(device.local) === family && familyOf(device.remote) === family
}

export function removeLink(writer: MessageWriter, index: number): void {
  beginLink(writer, { type: RTM_DELLINK, flags: NLM_F_REQUEST, index, up: false })
  writer.end()
}

export function decodeLink({ bytes, start, end }: NetlinkMessage): ObservedLink {
  if (end - start < LINK_HEADER_BYTES) throw malformed('a link header is cut')
  const values = LINK.decode(bytes, start + LINK_HEADER_BYTES, end)
  const kind = values.info?.kind ?? ''
  const tunnel = decodeTunnel(kind, values.info?.data)
  const gre = decodeGre(kind, values.info?.data)
  return {
    index: bytes.readInt32LE(start + 4),
    name: required(values.name, 'the name of a link'),
    kind,
    up: (bytes.readUInt32LE(start + 8) & IFF_UP) !== 0,
    mtu: values.mtu ?? 0,
    local: endOf(tunnel?.local ?? gre?.local),
    remote: endOf(tunnel?.remote ?? gre?.remote),
    checksum: ((gre?.inFlags ?? 0) & GRE_CSUM) !== 0,
  }
}

/** struct ifinfomsg: family, type, index, flags, and which flags are meant. */
function beginLink(
  writer: MessageWriter,
  header: {
    readonly type: number
    readonly flags: number
    readonly index: number
    readonly up: boolean
  },
): void {
  writer.begin(header.type, header.flags)
  writer.u8(AF_UNSPEC)
  writer.u8(0)
  writer.u16(0)
  writer.s32(header.index)
  writer.u32(header.up ? IFF_UP : 0)
  writer.u32(header.up ? IFF_UP : 0)
}

function deviceInfo(device: DeviceState): LinkInfoAttributes {
  if (device.kind === 'dummy') return { kind: device.kind }
  const writer = new MessageWriter(Buffer.alloc(128))
  if (device.kind === 'gre' || device.kind === 'ip6gre') {
    GRE.encode(writer, greAttributes(device))
    return { kind: device.kind, data: writer.bytes.subarray(0, writer.offset) }
  }
  const tunnel: TunnelAttributes = {
    local: ipToBytes(device.local),
    remote: ipToBytes(device.remote),
    ttl: TTL,
  }
  if (device.kind === 'ip6tnl') {
    const flags = Buffer.alloc(4)
    flags.writeUInt32LE(IP6_TNL_F_IGN_ENCAP_LIMIT)
    Object.assign(tunnel, { encapLimit: 0, ip6Flags: flags, protocol: TUNNEL_PROTOCOL_ANY })
  }
  TUNNEL.encode(writer, tunnel)
  return { kind: device.kind, data: writer.bytes.subarray(0, writer.offset) }
}

/** Nothing is sent through it, so only the flags of what comes in are set. */
function greAttributes(device: Extract<DeviceState, { kind: 'gre' | 'ip6gre' }>): GreAttributes {
  const attributes: GreAttributes = {
    inFlags: device.checksum ? GRE_CSUM : 0,
    local: ipToBytes(device.local),
    remote: ipToBytes(device.remote),
    ttl: TTL,
  }
  if (device.kind === 'gre') return attributes
  return { ...attributes, encapLimit: 0, ip6Flags: IP6_TNL_F_IGN_ENCAP_LIMIT }
}

function decodeGre(kind: string, data: Uint8Array | undefined): GreAttributes | undefined {
  if (data === undefined || !GRE_KINDS.has(kind)) return undefined
  return GRE.decode(Buffer.from(data), 0, data.length)
}

function decodeTunnel(kind: string, data: Uint8Array | undefined): TunnelAttributes | undefined {
  if (data === undefined || !TUNNEL_KINDS.has(kind)) return undefined
  return TUNNEL.decode(Buffer.from(data), 0, data.length)
}

/** All zeros means any. */
function endOf(bytes: Uint8Array | undefined): Ip | null {
  if (bytes === undefined || bytes.every((byte) => byte === 0)) return null
  return bytesToIp(bytes)
}
