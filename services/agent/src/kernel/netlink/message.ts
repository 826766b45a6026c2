/**
 * Netlink messages as they arrive: a datagram holds several, each with a header, and errors come as
 * messages too. Takes datagrams; gives message views (nothing is copied) and decoded errors.
 */
import { KernelError } from '../kernel.ts'
import {
  align4,
  NLA_HEADER_BYTES,
  NLA_TYPE_MASK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLMSG_HEADER_BYTES,
  NLMSGERR_ATTR_MSG,
} from './constants.ts'
import { errnoName, explainErrno } from './errno.ts'
import { s32At, u16At, u32At } from './read-number.ts'

/** One message inside a datagram: its payload is `bytes` from `start` to `end`. */
export type NetlinkMessage = {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  /** Port of the socket that caused the message; 0 when nobody did. */
  readonly portId: number
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

/** The kernel refused a request. */
export type NetlinkFailure = { readonly code: string; readonly message: string }

/** Calls back for every message of a datagram; throws on a length that leads outside of it. */
export function eachMessage(bytes: Buffer, visit: (message: NetlinkMessage) => void): void {
  let at = 0
  while (at < bytes.length) {
    if (bytes.length - at < NLMSG_HEADER_BYTES) throw malformed('a message header is cut')
    const length = u32At(bytes, at)
    const end = at + length
    if (length < NLMSG_HEADER_BYTES || end > bytes.length) {
      throw malformed(`a message of ${length} bytes in a datagram of ${bytes.length}`)
    }
    visit({
      type: u16At(bytes, at + 4),
      flags: u16At(bytes, at + 6),
      sequence: u32At(bytes, at + 8),
      portId: u32At(bytes, at + 12),
      bytes,
      start: at + NLMSG_HEADER_BYTES,
      end,
    })
    at += align4(length)
  }
}

/** What NLMSG_ERROR says: undefined is success (an ack). */
export function decodeError(message: NetlinkMessage): NetlinkFailure | undefined {
  const errno = errorNumber(message)
  if (errno === 0) return undefined
  const echoStart = message.start + 4
  const echoLength =
    message.flags & NLM_F_CAPPED || message.end - echoStart < NLMSG_HEADER_BYTES
      ? NLMSG_HEADER_BYTES
      : align4(u32At(message.bytes, echoStart))
  return failure(errno, extendedText(message, echoStart + echoLength))
}

/** What NLMSG_DONE says: the dump itself may have failed on the way (include/uapi/linux/netlink.h). */
export function decodeDone(message: NetlinkMessage): NetlinkFailure | undefined {
  if (message.end - message.start < 4) return undefined
  const errno = errorNumber(message)
  return errno >= 0 ? undefined : failure(errno, extendedText(message, message.start + 4))
}

export function malformed(detail: string): KernelError {
  return new KernelError('decode netlink message', 'EBADMSG', detail)
}

function errorNumber(message: NetlinkMessage): number {
  if (message.end - message.start < 4) throw malformed('an answer without an error number')
  return s32At(message.bytes, message.start)
}

function failure(errno: number, text: string | undefined): NetlinkFailure {
  const code = errnoName(errno)
  return { code, message: text ?? explainErrno(code) }
}

/** The kernel's own words, from the extended ack attributes at `at`. */
function extendedText(message: NetlinkMessage, at: number): string | undefined {
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return undefined
  const { bytes, end } = message
  for (let offset = at; offset + NLA_HEADER_BYTES <= end;) {
    const length = u16At(bytes, offset)
    if (length < NLA_HEADER_BYTES || offset + length > end) return undefined
    if ((u16At(bytes, offset + 2) & NLA_TYPE_MASK) === NLMSGERR_ATTR_MSG) {
      return bytes
        .toString('utf8', offset + NLA_HEADER_BYTES, offset + length)
        .replace(/\0.*$/s, '')
    }
    offset += align4(length)
  }
  return undefined
}
