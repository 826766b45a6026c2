/**
 * The host's key, and while it is being replaced the next one beside it. Both stay on disk until the control plane
 * has taken the next one: whichever it knows, this host can prove who it is. A crash between any two writes leaves
 * the old key, both, or the new one.
 */
import { saveAtomically } from '../disk/sealed.ts'
import type { Disk } from '../ports.ts'
import { KEY_FILE, loadKeyFile, makeKey, type HostKey } from './identity.ts'

const NEXT_FILE = 'key-next.json'

export type HostKeys = {
  current(): HostKey
  next(): HostKey | undefined
  /** The next key, on disk; the same one until it counts. */
  makeNext(): Promise<HostKey>
  /** The next key counts now. */
  promote(): Promise<void>
}

/** undefined when this host has no key. */
export async function openHostKeys(disk: Disk): Promise<HostKeys | undefined> {
  const current = await loadKeyFile(disk, KEY_FILE)
  if (current === undefined) return undefined
  let next = await loadKeyFile(disk, NEXT_FILE)
  if (next?.x === current.x) {
    await disk.remove(NEXT_FILE)
    next = undefined
  }
  return keysOf(disk, current, next)
}

function keysOf(disk: Disk, first: HostKey, second: HostKey | undefined): HostKeys {
  let current = first
  let next = second
  return {
    current: () => current,
    next: () => next,
    async makeNext() {
      if (next !== undefined) return next
      const made = makeKey()
      await saveAtomically(disk, NEXT_FILE, `${JSON.stringify(made)}\n`)
      next = made
      return made
    },
    async promote() {
      if (next === undefined) return
      await saveAtomically(disk, KEY_FILE, `${JSON.stringify(next)}\n`)
      current = next
      next = undefined
      await disk.remove(NEXT_FILE)
    },
  }
}
