/** Settings of services and destinations as kernel attributes: everything but the keys. */
import {
  assertNever,
  familyOf,
  type DestinationConfig,
  type Forwarding,
  type Ip,
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
  type DestinationAttributes,
  type ServiceAttributes,
} from './constants.ts'
import { FLAG_BITS } from './flags.ts'
import { encodeTunnel, NO_TUNNEL } from './tunnels.ts'

export function familyNumber(address: Ip): number {
  return familyOf(address) === 'ipv4' ? AF_INET : AF_INET6
}

export function serviceConfig(service: ServiceRef, config: ServiceConfig): ServiceAttributes {
  const { persistence } = config
  let flags = persistence === null ? 0 : IP_VS_SVC_F_PERSISTENT
  for (const flag of config.flags) flags |= FLAG_BITS[flag]
  return {
    scheduler: config.scheduler,
    flags,
    timeoutSeconds: persistence?.timeoutSeconds ?? 0,
    netmask: encodeNetmask(service.address, persistence?.prefixLength),
    // Absent is "no engine" (ip_vs_edit_service); an empty name would be searched for.
  }
}

/** Without persistence the full mask, as ipvsadm sends it; IPv6 with 0 would be refused. */
function encodeNetmask(address: Ip, prefixLength: number | undefined): Uint8Array {
  const bytes = Buffer.alloc(4)
  if (familyOf(address) === 'ipv6') bytes.writeUInt32LE(prefixLength ?? 128)
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
