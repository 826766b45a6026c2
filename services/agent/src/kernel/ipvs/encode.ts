/**
 * Encodes IPVS ops as generic netlink messages. Every configuration attribute goes out with each SET:
 * the kernel fills what is missing with zeros (ip_vs_genl_parse_dest), it does not keep the old value.
 */
import {
  assertNever,
  ipToBytes,
  type DestinationConfig,
  type DestinationRef,
  type Op,
  type ServiceRef,
} from '@lvs-fleet/contract'
import { NLA_F_NESTED, NLM_F_DUMP, NLM_F_REQUEST } from '../netlink/constants.ts'
import { beginGeneric } from '../netlink/generic.ts'
import { MessageWriter } from '../netlink/message-writer.ts'
import {
  COMMAND,
  DESTINATION_END,
  DESTINATION_SETTINGS,
  IPVS_CMD_ATTR_DEST,
  IPVS_CMD_DEL_DEST,
  IPVS_CMD_DEL_SERVICE,
  IPVS_CMD_GET_DEST,
  IPVS_CMD_GET_SERVICE,
  IPVS_CMD_NEW_DEST,
  IPVS_CMD_NEW_SERVICE,
  IPVS_CMD_SET_DEST,
  IPVS_CMD_SET_SERVICE,
  IPVS_GENL_VERSION,
} from './constants.ts'
import { destinationConfig, familyNumber, serviceConfig, serviceName } from './encode-config.ts'

export type IpvsOp = Extract<Op, { kind: `service.${string}` | `destination.${string}` }>

const COMMANDS = {
  'service.create': IPVS_CMD_NEW_SERVICE,
  'service.update': IPVS_CMD_SET_SERVICE,
  'service.remove': IPVS_CMD_DEL_SERVICE,
  'destination.create': IPVS_CMD_NEW_DEST,
  'destination.update': IPVS_CMD_SET_DEST,
  'destination.remove': IPVS_CMD_DEL_DEST,
} as const satisfies Record<IpvsOp['kind'], number>

const ENDS_MAX = 4_096
/** Beyond any attribute that is encoded for use in many messages. */
const SCRATCH_BYTES = 256

type EncodedEnd = { readonly port: number; readonly bytes: Uint8Array }
type EncodedSettings = {
  readonly family: number
  readonly config: DestinationConfig
  readonly bytes: Uint8Array
}

/** Writes the messages of one family number; remembers the last service key and settings, which runs of ops share. */
export class IpvsEncoder {
  readonly family: number
  private lastService: ServiceRef | undefined
  private lastKey: Uint8Array = new Uint8Array(0)
  private lastSettings: EncodedSettings | undefined
  /** By address: few real servers stand behind many virtual services, mostly on one port. */
  private readonly ends = new Map<string, EncodedEnd>()
  private readonly scratch = new MessageWriter(Buffer.alloc(SCRATCH_BYTES))

  constructor(family: number) {
    this.family = family
  }

  op(writer: MessageWriter, op: IpvsOp): void {
    this.begin(writer, COMMANDS[op.kind], NLM_F_REQUEST)
    switch (op.kind) {
      case 'service.create':
      case 'service.update':
        COMMAND.encode(writer, {
          service: { ...serviceName(op.service), ...serviceConfig(op.service, op.to) },
        })
        break
      case 'destination.create':
      case 'destination.update':
        writer.raw(this.encodedKey(op.service))
        this.destination(writer, op.destination, op.to)
        break
      case 'service.remove':
        writer.raw(this.encodedKey(op.service))
        break
      case 'destination.remove':
        writer.raw(this.encodedKey(op.service))
        COMMAND.encode(writer, { destination: this.destinationKey(op.destination) })
        break
      default:
        assertNever(op)
    }
    writer.end()
  }

  dumpServices(writer: MessageWriter): void {
    this.begin(writer, IPVS_CMD_GET_SERVICE, NLM_F_REQUEST | NLM_F_DUMP)
    writer.end()
  }

  getService(writer: MessageWriter, service: ServiceRef): void {
    this.begin(writer, IPVS_CMD_GET_SERVICE, NLM_F_REQUEST)
    writer.raw(this.encodedKey(service))
    writer.end()
  }

  dumpDestinations(writer: MessageWriter, service: ServiceRef): void {
    this.begin(writer, IPVS_CMD_GET_DEST, NLM_F_REQUEST | NLM_F_DUMP)
    writer.raw(this.encodedKey(service))
    writer.end()
  }

  private begin(writer: MessageWriter, command: number, flags: number): void {
    beginGeneric(writer, { family: this.family, flags, command, version: IPVS_GENL_VERSION })
  }

  /** The whole IPVS_CMD_ATTR_DEST attribute: ten thousands of them are what a cold start consists of. */
  private destination(writer: MessageWriter, end: DestinationRef, to: DestinationConfig): void {
    const at = writer.openAttribute(IPVS_CMD_ATTR_DEST | NLA_F_NESTED)
    writer.raw(this.encodedEnd(end))
    writer.raw(this.encodedSettings(familyNumber(end.address), to))
    writer.closeAttribute(at)
  }

  private encodedEnd({ address, port }: DestinationRef): Uint8Array {
    const known = this.ends.get(address)
    if (known?.port === port) return known.bytes
    const bytes = this.aside((writer) =>
      DESTINATION_END.encode(writer, { address: ipToBytes(address), port }),
    )
    if (this.ends.size >= ENDS_MAX) this.ends.clear()
    this.ends.set(address, { port, bytes })
    return bytes
  }

  private encodedSettings(family: number, to: DestinationConfig): Uint8Array {
    const last = this.lastSettings
    if (last?.family === family && isSameConfig(last.config, to)) return last.bytes
    const bytes = this.aside((writer) =>
      DESTINATION_SETTINGS.encode(writer, { family, ...destinationConfig(to) }),
    )
    this.lastSettings = { family, config: to, bytes }
    return bytes
  }

  /** The whole IPVS_CMD_ATTR_SERVICE attribute that names a service. */
  private encodedKey(service: ServiceRef): Uint8Array {
    const last = this.lastService
    if (last !== service && (last === undefined || !isSameService(last, service))) {
      this.lastKey = this.aside((writer) =>
        COMMAND.encode(writer, { service: serviceName(service) }),
      )
    }
    this.lastService = service
    return this.lastKey
  }

  /** What `write` writes, to be used again: a copy, small enough to lie in the heap of V8 itself. */
  private aside(write: (writer: MessageWriter) => void): Uint8Array {
    this.scratch.offset = 0
    write(this.scratch)
    return new Uint8Array(this.scratch.bytes.subarray(0, this.scratch.offset))
  }

  private destinationKey(destination: DestinationRef) {
    return {
      family: familyNumber(destination.address),
      address: ipToBytes(destination.address),
      port: destination.port,
    }
  }
}

function isSameService(a: ServiceRef, b: ServiceRef): boolean {
  if ('firewallMark' in a || 'firewallMark' in b) {
    return (
      'firewallMark' in a &&
      'firewallMark' in b &&
      a.firewallMark === b.firewallMark &&
      a.family === b.family
    )
  }
  return a.address === b.address && a.port === b.port && a.protocol === b.protocol
}

/** Equal to the last byte; false for some that are, never true for two that are not. */
function isSameConfig(a: DestinationConfig, b: DestinationConfig): boolean {
  return (
    a.weight === b.weight &&
    a.upperThreshold === b.upperThreshold &&
    a.lowerThreshold === b.lowerThreshold &&
    (a.forwarding === b.forwarding ||
      (a.forwarding.method === b.forwarding.method && a.forwarding.method !== 'tun'))
  )
}
