/**
 * IPVS settings of a network namespace on the wire: idle timeouts and connection sync daemons. Takes ops, gives
 * messages, and the reverse for what a kernel says. Attributes and rules: ip_vs_genl_set_config and
 * ip_vs_genl_new_daemon in net/netfilter/ipvs/ip_vs_ctl.c (Linux 6.1).
 */
import { assertNever, familyOf, ipToBytes, TIMEOUTS, type Op } from '@lvs-fleet/contract'
import type { ObservedSyncDaemon, ObservedTimeouts } from '../kernel.ts'
import { required } from '../netlink/attributes.ts'
import { NLM_F_DUMP, NLM_F_REQUEST } from '../netlink/constants.ts'
import { beginGeneric } from '../netlink/generic.ts'
import { malformed, type NetlinkMessage } from '../netlink/message.ts'
import type { MessageWriter } from '../netlink/message-writer.ts'
import {
  AF_INET,
  AF_INET6,
  COMMAND,
  IP_VS_STATE_BACKUP,
  IP_VS_STATE_MASTER,
  IPVS_CMD_DEL_DAEMON,
  IPVS_CMD_GET_CONFIG,
  IPVS_CMD_GET_DAEMON,
  IPVS_CMD_NEW_DAEMON,
  IPVS_CMD_SET_CONFIG,
  IPVS_GENL_VERSION,
  type CommandValues,
} from './constants.ts'
import { decodeAddress, decodeCommand } from './decode.ts'

export type SettingsOp = Extract<Op, { kind: 'timeout.set' | 'sync.start' | 'sync.stop' }>

const TIMEOUT_ATTRIBUTES = {
  tcp: 'tcpSeconds',
  tcpFin: 'tcpFinSeconds',
  udp: 'udpSeconds',
} as const satisfies Record<(typeof TIMEOUTS)[number], keyof CommandValues>

const STATES = { master: IP_VS_STATE_MASTER, backup: IP_VS_STATE_BACKUP } as const

/** `device`: where a daemon that is to start sends and listens. */
export function writeSetting(
  writer: MessageWriter,
  family: number,
  op: SettingsOp,
  device: string,
): void {
  switch (op.kind) {
    case 'timeout.set':
      // What is absent or 0 is left as it is (ip_vs_set_timeout).
      return write(writer, { family, command: IPVS_CMD_SET_CONFIG }, timeoutValues(op))
    case 'sync.start':
      return write(writer, { family, command: IPVS_CMD_NEW_DAEMON }, daemonValues(op, device))
    case 'sync.stop':
      return write(
        writer,
        { family, command: IPVS_CMD_DEL_DAEMON },
        { daemon: { state: STATES[op.daemon.role] } },
      )
    default:
      return assertNever(op)
  }
}

export function writeGetTimeouts(writer: MessageWriter, family: number): void {
  write(writer, { family, command: IPVS_CMD_GET_CONFIG }, {})
}

export function writeDumpDaemons(writer: MessageWriter, family: number): void {
  write(writer, { family, command: IPVS_CMD_GET_DAEMON, flags: NLM_F_DUMP }, {})
}

export function decodeTimeouts(message: NetlinkMessage): ObservedTimeouts {
  const values = decodeCommand(message)
  return {
    tcp: required(values.tcpSeconds, 'the tcp timeout'),
    tcpFin: required(values.tcpFinSeconds, 'the tcp fin timeout'),
    udp: required(values.udpSeconds, 'the udp timeout'),
  }
}

export function decodeDaemon(message: NetlinkMessage): ObservedSyncDaemon {
  const values = required(decodeCommand(message).daemon, 'the sync daemon')
  const state = required(values.state, 'the state of a sync daemon')
  const role = state === IP_VS_STATE_MASTER ? 'master' : 'backup'
  if (state !== STATES[role]) throw malformed(`a sync daemon in state ${state}`)
  const group6 = values.group6
  return {
    role,
    device: required(values.device, 'the interface of a sync daemon'),
    syncId: required(values.syncId, 'the sync id'),
    group:
      group6 === undefined
        ? decodeAddress(AF_INET, required(values.group, 'the sync group'))
        : decodeAddress(AF_INET6, group6),
    port: required(values.port, 'the sync port'),
    ttl: required(values.ttl, 'the sync ttl'),
    maxlen: required(values.maxlen, 'the sync message length'),
  }
}

function timeoutValues({ name, to }: Extract<SettingsOp, { kind: 'timeout.set' }>): CommandValues {
  return to === null ? {} : { [TIMEOUT_ATTRIBUTES[name]]: to }
}

function daemonValues(
  { daemon }: Extract<SettingsOp, { kind: 'sync.start' }>,
  device: string,
): CommandValues {
  const { role, syncId, group, port, ttl, maxlen } = daemon
  const address = ipToBytes(group)
  return {
    daemon: {
      state: STATES[role],
      device,
      syncId,
      ...(maxlen === null ? {} : { maxlen }),
      ...(familyOf(group) === 'ipv4' ? { group: address } : { group6: address }),
      port,
      ttl,
    },
  }
}

function write(
  writer: MessageWriter,
  header: { readonly family: number; readonly command: number; readonly flags?: number },
  values: CommandValues,
): void {
  const { family, command, flags = 0 } = header
  beginGeneric(writer, {
    family,
    flags: NLM_F_REQUEST | flags,
    command,
    version: IPVS_GENL_VERSION,
  })
  COMMAND.encode(writer, values)
  writer.end()
}
