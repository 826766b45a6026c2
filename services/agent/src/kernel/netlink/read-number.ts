/**
 * Numbers in a datagram of the kernel, little-endian. Whoever reads has checked the length; beyond it is 0. Not by the methods
 * of Buffer, which leave an array behind for each number.
 */
export function u16At(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
}

export function s32At(bytes: Uint8Array, at: number): number {
  return u16At(bytes, at) | (u16At(bytes, at + 2) << 16)
}

export function u32At(bytes: Uint8Array, at: number): number {
  return s32At(bytes, at) >>> 0
}
