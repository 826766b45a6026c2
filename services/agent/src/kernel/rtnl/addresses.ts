/**
 * Addresses of interfaces: dump, add and remove messages. Always the full prefix length, so that no
 * route to neighbours appears. IPv6 ones are usable at once (nodad) and deprecated from the start
 * (preferred lifetime 0): the kernel must never pick a VIP as the source of a tunnel packet.
 */
import { bytesToIp, familyOf, hostPrefixLength, ipToBytes, type Ip } from '@lvs-fleet/contract'
import type { ObservedAddress } from '../kernel.ts'
import { required } from '../netlink/attributes.ts'
import { NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST } from '../netlink/constants.ts'
import { malformed, type NetlinkMessage } from '../netlink/message.ts'
import type { MessageWriter } from '../netlink/message-writer.ts'
import {
  ADDRESS,
  ADDRESS_HEADER_BYTES,
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  CACHE_INFO_BYTES,
  IFA_F_DEPRECATED,
  IFA_F_NODAD,
  LIFETIME_FOREVER,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_NEWADDR,
} from './constants.ts'

export function dumpAddresses(writer: MessageWriter): void {
  writer.begin(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP)
  writeHeader(writer, { family: AF_UNSPEC, prefixLength: 0, index: 0 })
  writer.end()
}

export function addAddress(writer: MessageWriter, address: Ip, index: number): void {
  beginAddress(writer, {
    type: RTM_NEWADDR,
    flags: NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL,
    address,
    index,
  })
  const bytes = ipToBytes(address)
  if (familyOf(address) === 'ipv4') ADDRESS.encode(writer, { address: bytes, local: bytes })
  else {
    ADDRESS.encode(writer, {
      address: bytes,
      local: bytes,
      cacheInfo: deprecatedForever(),
      flags: IFA_F_NODAD,
    })
  }
  writer.end()
}

export function removeAddress(writer: MessageWriter, address: Ip, index: number): void {
  beginAddress(writer, { type: RTM_DELADDR, flags: NLM_F_REQUEST, address, index })
  const bytes = ipToBytes(address)
  ADDRESS.encode(writer, { address: bytes, local: bytes })
  writer.end()
}

/** Undefined for families other than IP, which a dump of all families contains. */
export function decodeAddress({ bytes, start, end }: NetlinkMessage): ObservedAddress | undefined {
  if (end - start < ADDRESS_HEADER_BYTES) throw malformed('an address header is cut')
  const family = bytes.readUInt8(start)
  if (family !== AF_INET && family !== AF_INET6) return undefined
  const values = ADDRESS.decode(bytes, start + ADDRESS_HEADER_BYTES, end)
  // The flags of the header have 8 bits only; IFA_FLAGS has them all.
  const flags = values.flags ?? bytes.readUInt8(start + 2)
  return {
    address: bytesToIp(required(values.local ?? values.address, 'the address')),
    prefixLength: bytes.readUInt8(start + 1),
    linkIndex: bytes.readUInt32LE(start + 4),
    deprecated:
      family === AF_INET6 &&
      ((flags & IFA_F_DEPRECATED) !== 0 || preferredSeconds(values.cacheInfo) === 0),
  }
}

/** struct ifaddrmsg: family, prefix length, flags, scope (0 = global), interface. */
function writeHeader(
  writer: MessageWriter,
  header: { readonly family: number; readonly prefixLength: number; readonly index: number },
): void {
  writer.u8(header.family)
  writer.u8(header.prefixLength)
  writer.u8(0)
  writer.u8(0)
  writer.u32(header.index)
}

function beginAddress(
  writer: MessageWriter,
  message: {
    readonly type: number
    readonly flags: number
    readonly address: Ip
    readonly index: number
  },
): void {
  const { address, index } = message
  writer.begin(message.type, message.flags)
  const family = familyOf(address) === 'ipv4' ? AF_INET : AF_INET6
  writeHeader(writer, { family, prefixLength: hostPrefixLength(address), index })
}

function deprecatedForever(): Uint8Array {
  const bytes = Buffer.alloc(CACHE_INFO_BYTES)
  bytes.writeUInt32LE(LIFETIME_FOREVER, 4)
  return bytes
}

function preferredSeconds(cacheInfo: Uint8Array | undefined): number | undefined {
  if (cacheInfo === undefined || cacheInfo.length < 4) return undefined
  return Buffer.from(cacheInfo).readUInt32LE(0)
}
