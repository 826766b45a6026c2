/** Settings of services and destinations as kernel attributes: everything but the keys. */
import {
  assertNever,
  familyOf,
  ipToBytes,
  serviceFamily,
  type DestinationConfig,
  type Family,
  type Forwarding,
  type Ip,
  type Protocol,
  type ServiceConfig,
  type ServiceRef,
} from '@lvs-fleet/contract'
import {
  AF_INET,
  AF_INET6,
  IP_VS_CONN_F_DROUTE,
  IP_VS_CONN_F_LOCALNODE,
  IP_VS_CONN_F_MASQ,
  IP_VS_CONN_F_TUNNEL,
  IP_VS_SVC_F_PERSISTENT,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  type DestinationAttributes,
  type ServiceAttributes,
} from './constants.ts'
import { FLAG_BITS } from './flags.ts'
import { encodeTunnel, NO_TUNNEL } from './tunnels.ts'

export function familyNumber(address: Ip): number {
  return familyOf(address) === 'ipv4' ? AF_INET : AF_INET6
}

export const PROTOCOL_NUMBERS: Readonly<Record<Protocol, number>> = {
  tcp: IPPROTO_TCP,
  udp: IPPROTO_UDP,
  sctp: IPPROTO_SCTP,
}

/** What names a service: a mark and a family, or protocol, address and port (ip_vs_genl_parse_service). */
export function serviceName(service: ServiceRef): ServiceAttributes {
  if ('firewallMark' in service) {
    const family = service.family === 'ipv4' ? AF_INET : AF_INET6
    return { family, firewallMark: service.firewallMark }
  }
  return {
    family: familyNumber(service.address),
    protocol: PROTOCOL_NUMBERS[service.protocol],
    address: ipToBytes(service.address),
    port: service.port,
  }
}

export function serviceConfig(service: ServiceRef, config: ServiceConfig): ServiceAttributes {
  const { persistence } = config
  let flags = persistence === null ? 0 : IP_VS_SVC_F_PERSISTENT
  for (const flag of config.flags) flags |= FLAG_BITS[flag]
  return {
    scheduler: config.scheduler,
    flags,
    timeoutSeconds: persistence?.timeoutSeconds ?? 0,
    netmask: encodeNetmask(serviceFamily(service), persistence?.prefixLength),
    // Absent is "no engine" (ip_vs_edit_service); an empty name would be searched for.
    ...(persistence === null || persistence.engine === null
      ? {}
      : { persistenceEngine: persistence.engine }),
  }
}

/** Without persistence the full mask, as ipvsadm sends it; IPv6 with 0 would be refused. */
function encodeNetmask(family: Family, prefixLength: number | undefined): Uint8Array {
  const bytes = Buffer.alloc(4)
  if (family === 'ipv6') bytes.writeUInt32LE(prefixLength ?? 128)
  else bytes.writeUInt32BE((0xffff_ffff << (32 - (prefixLength ?? 32))) >>> 0)
  return bytes
}

export function destinationConfig(config: DestinationConfig): DestinationAttributes {
  const { forwarding } = config
  const tunnel = forwarding.method === 'tun' ? encodeTunnel(forwarding.tunnel) : NO_TUNNEL
  return {
    forwarding: forwardingNumber(forwarding),
    weight: config.weight,
    upperThreshold: config.upperThreshold,
    lowerThreshold: config.lowerThreshold,
    tunnelType: tunnel.tunnelType,
    tunnelPort: tunnel.tunnelPort,
    tunnelFlags: tunnel.tunnelFlags,
  }
}

function forwardingNumber(forwarding: Forwarding): number {
  switch (forwarding.method) {
    case 'nat':
      return IP_VS_CONN_F_MASQ
    case 'dr':
      return IP_VS_CONN_F_DROUTE
    case 'tun':
      return IP_VS_CONN_F_TUNNEL
    case 'local':
      return IP_VS_CONN_F_LOCALNODE
    default:
      return assertNever(forwarding)
  }
}
