/**
 * The real state directory: node:fs, everything 0600 in a 0700 directory. Files are small and local, so that only
 * fsync goes through the thread pool: it waits for the device, while a trip there costs more than all the rest.
 */
import {
  closeSync,
  existsSync,
  fsync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Disk } from '../ports.ts'

const sync = promisify(fsync)

/** Makes the directory, and folders in it, when they are not there. */
export async function openDisk(root: string, folders: readonly string[] = []): Promise<Disk> {
  await mkdir(root, { recursive: true, mode: 0o700 })
  for (const folder of folders) await mkdir(join(root, folder), { recursive: true, mode: 0o700 })
  return nodeDisk(root)
}

/** Reads as they are, writes refused: for dry runs and `status`, which change nothing. */
export function openReadOnlyDisk(root: string): Disk {
  const refuse = (): Promise<never> => Promise.reject(new Error('this command writes no file'))
  return {
    ...nodeDisk(root),
    write: refuse,
    append: refuse,
    writeLoosely: refuse,
    rename: refuse,
    syncDirectory: refuse,
    remove: refuse,
  }
}

function nodeDisk(root: string): Disk {
  const at = (path: string): string => join(root, path)
  return {
    // Asked first, because most reads are of what is not there, and an exception costs more than a question.
    read: async (path) =>
      existsSync(at(path))
        ? unlessAbsent(() => readFileSync(at(path), 'utf8'), undefined)
        : undefined,
    write: async (path, text, mode) =>
      synced(openSync(at(path), 'w', mode), (file) => writeFileSync(file, text, 'utf8')),
    append: async (path, text, mode) =>
      synced(openSync(at(path), 'a', mode), (file) => writeFileSync(file, text, 'utf8')),
    writeLoosely: async (path, text, mode) =>
      writeFileSync(at(path), text, { encoding: 'utf8', mode }),
    rename: async (from, to) => renameSync(at(from), at(to)),
    syncDirectory: async (path) => synced(openSync(at(path), 'r'), () => undefined),
    list: async (path) => unlessAbsent<string[]>(() => readdirSync(at(path)), []),
    remove: async (path) => rmSync(at(path), { force: true }),
  }
}

async function synced(file: number, work: (file: number) => void): Promise<void> {
  try {
    work(file)
    await sync(file)
  } finally {
    closeSync(file)
  }
}

function unlessAbsent<T>(work: () => T, absent: T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return absent
    throw error
  }
}
