/** For which machine a binary is, from its ELF header (gABI, e_machine): so that no package carries another's. */
export type Arch = 'amd64' | 'arm64'

/** EM_X86_64 and EM_AARCH64, elf.h. */
const MACHINES: ReadonlyMap<number, Arch> = new Map([
  [62, 'amd64'],
  [183, 'arm64'],
])
const MACHINE_OFFSET = 18

/** undefined for what is no ELF file, or for a machine that has no package. */
export function archOfElf(bytes: Uint8Array): Arch | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.length < MACHINE_OFFSET + 2 || view.readUInt32BE(0) !== 0x7f454c46) return undefined
  return MACHINES.get(view.readUInt16LE(MACHINE_OFFSET))
}
