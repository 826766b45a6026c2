/**
 * Writes netlink messages one behind the other into one buffer of fixed size: a batch of hundreds
 * of messages costs one allocation and one sendmsg. Sequence numbers are filled in by the socket.
 */
import { align4, NLA_HEADER_BYTES, NLM_F_ACK, NLMSG_HEADER_BYTES } from './constants.ts'

export class MessageWriter {
  readonly bytes: Buffer
  /** Where the next byte goes. */
  offset = 0
  private messageStart = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  /** Starts a message; its header is complete but for length and sequence. */
  begin(type: number, flags: number): void {
    const at = this.offset
    this.messageStart = at
    this.bytes.writeUInt32LE(0, at)
    this.bytes.writeUInt16LE(type, at + 4)
    this.bytes.writeUInt16LE(flags, at + 6)
    this.bytes.writeUInt32LE(0, at + 8)
    // Port 0: the kernel fills in ours.
    this.bytes.writeUInt32LE(0, at + 12)
    this.offset = at + NLMSG_HEADER_BYTES
  }

  end(): void {
    this.bytes.writeUInt32LE(this.offset - this.messageStart, this.messageStart)
  }

  u8(value: number): void {
    this.bytes[this.offset++] = value
  }

  u16(value: number): void {
    this.offset = this.bytes.writeUInt16LE(value, this.offset)
  }

  be16(value: number): void {
    this.offset = this.bytes.writeUInt16BE(value, this.offset)
  }

  u32(value: number): void {
    this.offset = this.bytes.writeUInt32LE(value, this.offset)
  }

  s32(value: number): void {
    this.offset = this.bytes.writeInt32LE(value, this.offset)
  }

  u64(value: bigint): void {
    this.offset = this.bytes.writeBigUInt64LE(value, this.offset)
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
    this.bytes.writeUInt16LE(type, at + 2)
    this.offset = at + NLA_HEADER_BYTES
    return at
  }

  /** Ends the attribute that starts at `at`, padded with zeros. */
  closeAttribute(at: number): void {
    this.bytes.writeUInt16LE(this.offset - at, at)
    const padded = align4(this.offset)
    while (this.offset < padded) this.bytes[this.offset++] = 0
  }
}

/** Fills in what only the sender of a finished message knows. */
export function stampMessage(
  bytes: Buffer,
  at: number,
  stamp: { readonly sequence: number; readonly ack: boolean },
): void {
  bytes.writeUInt32LE(stamp.sequence, at + 8)
  if (stamp.ack) bytes.writeUInt16LE(bytes.readUInt16LE(at + 6) | NLM_F_ACK, at + 6)
}
