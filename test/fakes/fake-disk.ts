/** A state directory in memory that survives the agent's death. Each effect may fail, tear or be the last. */
import type { Disk } from '../../services/agent/src/ports.ts'

export type DiskEffect = {
  readonly kind: 'write' | 'rename' | 'sync' | 'remove'
  readonly path: string
}

export type FakeDisk = Disk & {
  readonly files: Map<string, string>
  /** Called before each effect; throws to fail there (ENOSPC, EIO) or to die. */
  beforeEffect: ((effect: DiskEffect) => void) | undefined
  /** Called after each effect, at the point where a crash leaves it done. */
  afterEffect: ((effect: DiskEffect) => void) | undefined
  effectCount: number
}

export function createFakeDisk(files: Iterable<readonly [string, string]> = []): FakeDisk {
  const perform = async (effect: DiskEffect, change: () => void): Promise<void> => {
    try {
      disk.beforeEffect?.(effect)
    } catch (error) {
      // A write that dies leaves half of it: what was being written is never the file that counts.
      if (effect.kind === 'write') {
        change()
        disk.files.set(effect.path, (disk.files.get(effect.path) ?? '').slice(0, -7))
      }
      throw error
    }
    change()
    disk.effectCount++
    disk.afterEffect?.(effect)
  }
  const disk: FakeDisk = {
    files: new Map(files),
    beforeEffect: undefined,
    afterEffect: undefined,
    effectCount: 0,
    read: async (path) => disk.files.get(path),
    write: (path, text) => perform({ kind: 'write', path }, () => disk.files.set(path, text)),
    append: (path, text) =>
      perform({ kind: 'write', path }, () =>
        disk.files.set(path, (disk.files.get(path) ?? '') + text),
      ),
    writeLoosely: (path, text) => disk.write(path, text, 0o600),
    rename: (from, to) =>
      perform({ kind: 'rename', path: to }, () => {
        const text = disk.files.get(from)
        if (text === undefined) throw new Error(`rename: no ${from}`)
        disk.files.delete(from)
        disk.files.set(to, text)
      }),
    syncDirectory: (path) => perform({ kind: 'sync', path }, () => undefined),
    list: async (path) =>
      [...disk.files.keys()].flatMap((name) =>
        name.startsWith(`${path}/`) ? [name.slice(path.length + 1)] : [],
      ),
    remove: (path) => perform({ kind: 'remove', path }, () => disk.files.delete(path)),
  }
  return disk
}
