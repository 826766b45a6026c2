// The bytes between host and guest: frames of {length u32, kind u8, stream u32, payload}, so that
// control messages and relayed TCP connections share one serial line. The guest's first bytes are
// GREETING; whatever a terminal driver put on the line before it is dropped by the host.
export const GREETING = Buffer.from('\n<<lvs-fleet lab channel 1>>\n')
export const PAYLOAD_MAX = 64 * 1024 * 1024
const HEADER = 9

export const FRAME = {
  /** JSON message of the control protocol; stream is 0. */
  MESSAGE: 0,
  /** A guest program connected to the relay. */
  OPEN: 1,
  DATA: 2,
  /** No more DATA in this direction. */
  END: 3,
  /** The connection is gone in both directions. */
  RESET: 4,
  /** The reader took u32 bytes: the writer may send as many more. Stream 0 is the line itself. */
  CREDIT: 5,
} as const

export type Frame = { readonly kind: number; readonly stream: number; readonly payload: Buffer }

export function encodeFrame(kind: number, stream: number, payload: Uint8Array = Buffer.alloc(0)) {
  const bytes = Buffer.allocUnsafe(HEADER + payload.length)
  bytes.writeUInt32LE(payload.length, 0)
  bytes.writeUInt8(kind, 4)
  bytes.writeUInt32LE(stream, 5)
  bytes.set(payload, HEADER)
  return bytes
}

/** Collects chunks of any size and gives back whole frames. */
export class FrameDecoder {
  private chunks: Buffer[] = []
  private length = 0
  private wanted = HEADER

  push(chunk: Buffer): Frame[] {
    this.chunks.push(chunk)
    this.length += chunk.length
    const frames: Frame[] = []
    while (this.length >= this.wanted) {
      const bytes = this.chunks.length === 1 ? chunk0(this.chunks) : Buffer.concat(this.chunks)
      const used = decodeInto(frames, bytes)
      const rest = bytes.subarray(used)
      this.chunks = rest.length > 0 ? [rest] : []
      this.length = rest.length
      this.wanted = rest.length < HEADER ? HEADER : HEADER + payloadLength(rest, 0)
    }
    return frames
  }
}

function chunk0(chunks: Buffer[]): Buffer {
  return chunks[0] ?? Buffer.alloc(0)
}

/** Decodes all whole frames at the start of `bytes`; returns how many bytes they were. */
function decodeInto(frames: Frame[], bytes: Buffer): number {
  let at = 0
  while (bytes.length - at >= HEADER) {
    const end = at + HEADER + payloadLength(bytes, at)
    if (bytes.length < end) break
    const payload = bytes.subarray(at + HEADER, end)
    frames.push({ kind: bytes.readUInt8(at + 4), stream: bytes.readUInt32LE(at + 5), payload })
    at = end
  }
  return at
}

function payloadLength(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32LE(at)
  if (length > PAYLOAD_MAX) throw new Error(`lab channel out of step: frame of ${length} bytes`)
  return length
}
