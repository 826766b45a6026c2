/**
 * Decodes the kernel's IPVS objects into the vocabulary of HostState. What the vocabulary cannot say
 * is never lost silently: such an object has `exact: false`, a service without a name is undefined.
 */
import {
  bytesToIp,
  PERSISTENCE_ENGINES,
  PROTOCOLS,
  type Forwarding,
  type Ip,
  type PersistenceState,
  type ServiceRef,
} from '@lvs-fleet/contract'
import type { ObservedDestination, ObservedService, TrafficStats } from '../kernel.ts'
import { required } from '../netlink/attributes.ts'
import { GENL_HEADER_BYTES } from '../netlink/generic.ts'
import { malformed, type NetlinkMessage } from '../netlink/message.ts'
import {
  AF_INET,
  AF_INET6,
  COMMAND,
  IP_VS_CONN_F_DROUTE,
  IP_VS_CONN_F_FWD_MASK,
  IP_VS_CONN_F_LOCALNODE,
  IP_VS_CONN_F_MASQ,
  IP_VS_CONN_F_TUNNEL,
  IP_VS_SVC_F_PERSISTENT,
  type DestinationAttributes,
  type ServiceAttributes,
  type StatsAttributes,
} from './constants.ts'
import { PROTOCOL_NUMBERS } from './encode-config.ts'
import { decodeFlags } from './flags.ts'
import { decodeTunnel } from './tunnels.ts'

/** One service of a dump; undefined where it has no name of ours (a protocol from the future). */
export function decodeService(message: NetlinkMessage): ObservedService | undefined {
  const values = required(decodeCommand(message).service, 'the service')
  const ref = decodeName(values)
  if (ref === undefined) return undefined
  const { flags, exact: flagsExact } = decodeFlags(required(values.flags, 'the service flags'))
  const { persistence, exact: persistenceExact } = decodePersistence(values)
  return {
    ...ref,
    scheduler: required(values.scheduler, 'the scheduler'),
    flags,
    persistence,
    exact: flagsExact && persistenceExact,
    stats: decodeStats(values.stats),
  }
}

export function decodeDestination(message: NetlinkMessage): ObservedDestination {
  const values = required(decodeCommand(message).destination, 'the destination')
  const { forwarding, exact } = decodeForwarding(values)
  return {
    address: decodeAddress(
      required(values.family, 'the family of a destination'),
      required(values.address, 'the destination address'),
    ),
    port: required(values.port, 'the destination port'),
    forwarding,
    weight: required(values.weight, 'the weight'),
    upperThreshold: required(values.upperThreshold, 'the upper threshold'),
    lowerThreshold: required(values.lowerThreshold, 'the lower threshold'),
    exact,
    activeConnections: values.activeConnections ?? 0,
    inactiveConnections: values.inactiveConnections ?? 0,
    persistentConnections: values.persistentConnections ?? 0,
    stats: decodeStats(values.stats),
  }
}

export function decodeCommand({ bytes, start, end }: NetlinkMessage) {
  return COMMAND.decode(bytes, start + GENL_HEADER_BYTES, end)
}

/** The kernel sends a mark or an address, never both (ip_vs_genl_fill_service). */
function decodeName(values: ServiceAttributes): ServiceRef | undefined {
  const family = required(values.family, 'the family of a service')
  const { firewallMark } = values
  if (firewallMark !== undefined && firewallMark !== 0) {
    return { protocol: 'fwmark', firewallMark, family: family === AF_INET6 ? 'ipv6' : 'ipv4' }
  }
  const protocol = PROTOCOLS.find((name) => PROTOCOL_NUMBERS[name] === values.protocol)
  if (protocol === undefined) return undefined
  const address = decodeAddress(family, required(values.address, 'the service address'))
  return { protocol, address, port: required(values.port, 'the service port') }
}

export function decodeAddress(family: number, bytes: Uint8Array): Ip {
  if (family === AF_INET && bytes.length >= 4) return bytesToIp(bytes.subarray(0, 4))
  if (family === AF_INET6 && bytes.length === 16) return bytesToIp(bytes)
  throw malformed(`an address of family ${family} with ${bytes.length} bytes`)
}

function decodePersistence(values: ServiceAttributes): {
  persistence: PersistenceState | null
  exact: boolean
} {
  const name = values.persistenceEngine
  if (((values.flags ?? 0) & IP_VS_SVC_F_PERSISTENT) === 0) {
    return { persistence: null, exact: name === undefined }
  }
  const engine = PERSISTENCE_ENGINES.find((known) => known === name) ?? null
  const engineExact = engine !== null || name === undefined
  const timeoutSeconds = required(values.timeoutSeconds, 'the persistence timeout')
  const netmask = required(values.netmask, 'the persistence mask')
  if (netmask.length !== 4) throw malformed(`a persistence mask of ${netmask.length} bytes`)
  const view = Buffer.from(netmask)
  if (values.family === AF_INET6) {
    const prefixLength = view.readUInt32LE(0)
    return { persistence: { timeoutSeconds, prefixLength, engine }, exact: engineExact }
  }
  const mask = view.readUInt32BE(0)
  const prefixLength = Math.clz32(~mask)
  // Other users may set masks with holes, which no prefix length can say.
  const whole = mask === (prefixLength === 0 ? 0 : (0xffff_ffff << (32 - prefixLength)) >>> 0)
  return {
    persistence: { timeoutSeconds, prefixLength, engine },
    exact: engineExact && whole,
  }
}

function decodeForwarding(values: DestinationAttributes): {
  forwarding: Forwarding
  exact: boolean
} {
  const { tunnel, exact: tunnelExact } = decodeTunnel(values)
  // Left over where the method is another one: no harm, but not as we write it.
  const exact = tunnelExact && tunnel.type === 'ipip'
  switch (required(values.forwarding, 'the forwarding method') & IP_VS_CONN_F_FWD_MASK) {
    case IP_VS_CONN_F_MASQ:
      return { forwarding: { method: 'nat' }, exact }
    case IP_VS_CONN_F_DROUTE:
      return { forwarding: { method: 'dr' }, exact }
    case IP_VS_CONN_F_TUNNEL:
      return { forwarding: { method: 'tun', tunnel }, exact: tunnelExact }
    case IP_VS_CONN_F_LOCALNODE:
      return { forwarding: { method: 'local' }, exact }
    default:
      // Bypass and whatever comes later: nothing of ours is like it.
      return { forwarding: { method: 'local' }, exact: false }
  }
}

function decodeStats(values: StatsAttributes | undefined): TrafficStats {
  return {
    connections: values?.connections ?? 0n,
    inPackets: values?.inPackets ?? 0n,
    outPackets: values?.outPackets ?? 0n,
    inBytes: values?.inBytes ?? 0n,
    outBytes: values?.outBytes ?? 0n,
  }
}
