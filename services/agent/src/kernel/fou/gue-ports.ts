/**
 * GUE ports as messages: dump, open, close. A port is bound to one address of the host, so that it takes nothing
 * from services on the VIPs, and several agents or people can each have their own.
 */
import { bytesToIp, familyOf, ipToBytes, type GuePortState, type Ip } from '@lvs-fleet/contract'
import type { ObservedGuePort } from '../kernel.ts'
import { required } from '../netlink/attributes.ts'
import { NLM_F_DUMP, NLM_F_REQUEST } from '../netlink/constants.ts'
import { beginGeneric, GENL_HEADER_BYTES } from '../netlink/generic.ts'
import type { NetlinkMessage } from '../netlink/message.ts'
import type { MessageWriter } from '../netlink/message-writer.ts'
import {
  AF_INET,
  AF_INET6,
  FOU,
  FOU_CMD_ADD,
  FOU_CMD_DEL,
  FOU_CMD_GET,
  FOU_ENCAP_GUE,
  FOU_GENL_VERSION,
  type FouAttributes,
} from './constants.ts'

export function dumpGuePorts(writer: MessageWriter, family: number): void {
  const flags = NLM_F_REQUEST | NLM_F_DUMP
  beginGeneric(writer, { family, flags, command: FOU_CMD_GET, version: FOU_GENL_VERSION })
  writer.end()
}

export function openGuePort(writer: MessageWriter, family: number, guePort: GuePortState): void {
  begin(writer, family, FOU_CMD_ADD)
  FOU.encode(writer, { ...nameOf(guePort), type: FOU_ENCAP_GUE })
  writer.end()
}

/** fou_nl_cmd_rm_port finds it by family, port and local address. */
export function closeGuePort(writer: MessageWriter, family: number, guePort: GuePortState): void {
  begin(writer, family, FOU_CMD_DEL)
  FOU.encode(writer, nameOf(guePort))
  writer.end()
}

export function decodeGuePort({ bytes, start, end }: NetlinkMessage): ObservedGuePort {
  const values = FOU.decode(bytes, start + GENL_HEADER_BYTES, end)
  const isV6 = values.family === AF_INET6
  return {
    address: boundTo(isV6 ? values.localV6 : values.localV4),
    family: isV6 ? 'ipv6' : 'ipv4',
    port: required(values.port, 'the port of an encapsulation'),
    exact:
      values.type === FOU_ENCAP_GUE &&
      boundTo(isV6 ? values.peerV6 : values.peerV4) === null &&
      (values.peerPort ?? 0) === 0 &&
      (values.interfaceIndex ?? 0) === 0,
  }
}

function begin(writer: MessageWriter, family: number, command: number): void {
  beginGeneric(writer, { family, flags: NLM_F_REQUEST, command, version: FOU_GENL_VERSION })
}

function nameOf({ address, port }: GuePortState): FouAttributes {
  const bytes = ipToBytes(address)
  return familyOf(address) === 'ipv4'
    ? { port, family: AF_INET, localV4: bytes }
    : { port, family: AF_INET6, localV6: bytes }
}

/** All zeros is what the kernel sends of an end that is not bound. */
function boundTo(bytes: Uint8Array | undefined): Ip | null {
  if (bytes === undefined || bytes.every((byte) => byte === 0)) return null
  return bytesToIp(bytes)
}
