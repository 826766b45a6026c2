/**
 * Tunnels of destinations: our words and the kernel's three attributes (type, port, flags), in both directions.
 * Source: include/uapi/linux/ip_vs.h, and what ip_vs_tunnel_xmit reads of them for each type.
 */
import { assertNever, type GueChecksum, type Tunnel } from '@lvs-fleet/contract'
import {
  IP_VS_CONN_F_TUNNEL_TYPE_GRE,
  IP_VS_CONN_F_TUNNEL_TYPE_GUE,
  IP_VS_CONN_F_TUNNEL_TYPE_IPIP,
  IP_VS_TUNNEL_ENCAP_FLAG_CSUM,
  IP_VS_TUNNEL_ENCAP_FLAG_NOCSUM,
  IP_VS_TUNNEL_ENCAP_FLAG_REMCSUM,
  type DestinationAttributes,
} from './constants.ts'

type TunnelAttributes = Required<
  Pick<DestinationAttributes, 'tunnelType' | 'tunnelPort' | 'tunnelFlags'>
>

/** What a destination without a tunnel has there, and what IPIP has. */
export const NO_TUNNEL: TunnelAttributes = {
  tunnelType: IP_VS_CONN_F_TUNNEL_TYPE_IPIP,
  tunnelPort: 0,
  tunnelFlags: IP_VS_TUNNEL_ENCAP_FLAG_NOCSUM,
}

const GUE_FLAGS: Readonly<Record<GueChecksum, number>> = {
  none: IP_VS_TUNNEL_ENCAP_FLAG_NOCSUM,
  csum: IP_VS_TUNNEL_ENCAP_FLAG_CSUM,
  remcsum: IP_VS_TUNNEL_ENCAP_FLAG_REMCSUM,
}

export function encodeTunnel(tunnel: Tunnel): TunnelAttributes {
  switch (tunnel.type) {
    case 'ipip':
      return NO_TUNNEL
    case 'gre':
      return {
        tunnelType: IP_VS_CONN_F_TUNNEL_TYPE_GRE,
        tunnelPort: 0,
        tunnelFlags: tunnel.checksum
          ? IP_VS_TUNNEL_ENCAP_FLAG_CSUM
          : IP_VS_TUNNEL_ENCAP_FLAG_NOCSUM,
      }
    case 'gue':
      return {
        tunnelType: IP_VS_CONN_F_TUNNEL_TYPE_GUE,
        tunnelPort: tunnel.port,
        tunnelFlags: GUE_FLAGS[tunnel.checksum],
      }
    default:
      return assertNever(tunnel)
  }
}

/** The nearest tunnel that has a name; `exact` is false where the attributes say something else. */
export function decodeTunnel(values: DestinationAttributes): { tunnel: Tunnel; exact: boolean } {
  const tunnel = nearestTunnel(values)
  const same = encodeTunnel(tunnel)
  const exact =
    same.tunnelType === (values.tunnelType ?? NO_TUNNEL.tunnelType) &&
    same.tunnelPort === (values.tunnelPort ?? NO_TUNNEL.tunnelPort) &&
    same.tunnelFlags === (values.tunnelFlags ?? NO_TUNNEL.tunnelFlags)
  return { tunnel, exact }
}

function nearestTunnel({
  tunnelType,
  tunnelPort = 0,
  tunnelFlags = 0,
}: DestinationAttributes): Tunnel {
  const summed = (tunnelFlags & IP_VS_TUNNEL_ENCAP_FLAG_CSUM) !== 0
  if (tunnelType === IP_VS_CONN_F_TUNNEL_TYPE_GRE) return { type: 'gre', checksum: summed }
  // No GUE without a port: the kernel refuses it (ip_vs_add_dest), and no name of ours says it.
  if (tunnelType !== IP_VS_CONN_F_TUNNEL_TYPE_GUE || tunnelPort === 0) return { type: 'ipip' }
  if (summed) return { type: 'gue', port: tunnelPort, checksum: 'csum' }
  const checksum = (tunnelFlags & IP_VS_TUNNEL_ENCAP_FLAG_REMCSUM) === 0 ? 'none' : 'remcsum'
  return { type: 'gue', port: tunnelPort, checksum }
}
