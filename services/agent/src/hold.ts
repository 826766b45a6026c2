/** The brake an operator pulls on the host itself: while the file is there, nothing is applied and forwarding goes on. */
import { saveAtomically } from './disk/sealed.ts'
import type { Disk } from './ports.ts'

const FILE = 'hold'

/** Why the agent is held; undefined when it is not. */
export async function holdReason(disk: Disk): Promise<string | undefined> {
  return (await disk.read(FILE))?.trim()
}

export async function setHold(disk: Disk, reason: string): Promise<void> {
  await saveAtomically(disk, FILE, `${reason}\n`)
}

export async function releaseHold(disk: Disk): Promise<void> {
  await disk.remove(FILE)
}
