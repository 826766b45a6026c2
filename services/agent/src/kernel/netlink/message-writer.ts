/**
 * Writes netlink messages one behind the other into one buffer of fixed size: a batch of hundreds
 * of messages costs one allocation and one sendmsg. Sequence numbers are filled in by the socket.
 * Numbers go in through a DataView: the methods of Buffer check each value in a way that leaves an array behind, which
 * was a fifth of all that a full table left to the garbage collector.
 */
import { align4, NLA_HEADER_BYTES, NLM_F_ACK, NLMSG_HEADER_BYTES } from './constants.ts'

export class MessageWriter {
  readonly bytes: Buffer
  /** Where the next byte goes. */
  offset = 0
  private readonly view: DataView
  private messageStart = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
    this.view = viewOf(bytes)
  }

  /** Starts a message; its header is complete but for length and sequence. */
  begin(type: number, flags: number): void {
    const at = this.offset
    this.messageStart = at
    this.view.setUint32(at, 0, true)
    this.view.setUint16(at + 4, type, true)
    this.view.setUint16(at + 6, flags, true)
    this.view.setUint32(at + 8, 0, true)
    // Port 0: the kernel fills in ours.
    this.view.setUint32(at + 12, 0, true)
    this.offset = at + NLMSG_HEADER_BYTES
  }

  end(): void {
    this.view.setUint32(this.messageStart, this.offset - this.messageStart, true)
  }

  u8(value: number): void {
    this.bytes[this.offset++] = value
  }

  u16(value: number): void {
    check(value, 0, 0xffff)
    this.view.setUint16(this.offset, value, true)
    this.offset += 2
  }

  be16(value: number): void {
    check(value, 0, 0xffff)
    this.view.setUint16(this.offset, value)
    this.offset += 2
  }

  u32(value: number): void {
    check(value, 0, 0xffff_ffff)
    this.view.setUint32(this.offset, value, true)
    this.offset += 4
  }

  s32(value: number): void {
    check(value, -0x8000_0000, 0x7fff_ffff)
    this.view.setInt32(this.offset, value, true)
    this.offset += 4
  }

  u64(value: bigint): void {
    check(value, 0n, 0xffff_ffff_ffff_ffffn)
    this.view.setBigUint64(this.offset, value, true)
    this.offset += 8
  }

  raw(value: Uint8Array): void {
    this.bytes.set(value, this.offset)
    this.offset += value.length
  }

  /** NUL-terminated text. */
  text(value: string): void {
    this.offset += this.bytes.write(value, this.offset, 'utf8')
    this.u8(0)
  }

  /** Starts an attribute; returns what `closeAttribute` needs. */
  openAttribute(type: number): number {
    const at = this.offset
    this.view.setUint16(at + 2, type, true)
    this.offset = at + NLA_HEADER_BYTES
    return at
  }

  /** Ends the attribute that starts at `at`, padded with zeros. */
  closeAttribute(at: number): void {
    this.view.setUint16(at, this.offset - at, true)
    const padded = align4(this.offset)
    while (this.offset < padded) this.bytes[this.offset++] = 0
  }
}

/** A DataView would cut off what does not fit. */
function check(value: number | bigint, least: number | bigint, most: number | bigint): void {
  if (value >= least && value <= most) return
  throw new RangeError(`${value} does not lie between ${least} and ${most}`)
}

/** Fills in what only the sender of a finished message knows. */
export function stampMessage(
  view: DataView,
  at: number,
  stamp: { readonly sequence: number; readonly ack: boolean },
): void {
  view.setUint32(at + 8, stamp.sequence, true)
  if (stamp.ack) view.setUint16(at + 6, view.getUint16(at + 6, true) | NLM_F_ACK, true)
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
