/** The real state directory: node:fs, everything 0600 in a 0700 directory. */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Disk } from '../ports.ts'

/** Makes the directory, and folders in it, when they are not there. */
export async function openDisk(root: string, folders: readonly string[] = []): Promise<Disk> {
  await mkdir(root, { recursive: true, mode: 0o700 })
  for (const folder of folders) await mkdir(join(root, folder), { recursive: true, mode: 0o700 })
  return nodeDisk(root)
}

/** Reads as they are, writes refused: for dry runs and `status`, which change nothing. */
export function openReadOnlyDisk(root: string): Disk {
  const refuse = (): Promise<never> => Promise.reject(new Error('this command writes no file'))
  return { ...nodeDisk(root), write: refuse, rename: refuse, syncDirectory: refuse, remove: refuse }
}

function nodeDisk(root: string): Disk {
  const at = (path: string): string => join(root, path)
  return {
    read: (path) => readFile(at(path), 'utf8').catch(absentIs(undefined)),
    async write(path, text, mode) {
      const file = await open(at(path), 'w', mode)
      try {
        await file.writeFile(text, 'utf8')
        await file.sync()
      } finally {
        await file.close()
      }
    },
    rename: (from, to) => rename(at(from), at(to)),
    async syncDirectory(path) {
      const directory = await open(at(path), 'r')
      try {
        await directory.sync()
      } finally {
        await directory.close()
      }
    },
    list: (path) => readdir(at(path)).catch(absentIs<string[]>([])),
    remove: (path) => rm(at(path), { force: true }),
  }
}

function absentIs<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return value
    throw error
  }
}
