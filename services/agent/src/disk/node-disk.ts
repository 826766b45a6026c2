/**
 * The real state directory: node:fs, everything 0600 in a 0700 directory. Files are small and local, so that only
 * fsync goes through the thread pool: it waits for the device, while a trip there costs more than all the rest.
 * Where root works in the directory of the service's user, what it writes becomes that user's: the service must read it.
 */
import {
  closeSync,
  constants,
  existsSync,
  fchownSync,
  fsync,
  lchownSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Disk } from '../ports.ts'

/** Makes the directory, and folders in it, when they are not there. */
export async function openDisk(root: string, folders: readonly string[] = []): Promise<Disk> {
  mkdirSync(root, { recursive: true, mode: 0o700 })
  const owner = otherOwnerOf(root)
  for (const folder of folders) {
    const path = join(root, folder)
    if (mkdirSync(path, { recursive: true, mode: 0o700 }) === undefined) continue
    if (owner !== undefined) lchownSync(path, owner.uid, owner.gid)
  }
  return nodeDisk(root, owner)
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

type Owner = { readonly uid: number; readonly gid: number }

/** To whom files are given; undefined where they are the process's own. */
function otherOwnerOf(root: string): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined
  const { uid, gid } = statSync(root)
  return uid === 0 ? undefined : { uid, gid }
}

/** No link is followed: whose directory it is must not choose what root overwrites. */
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW
const REPLACE = CREATE | constants.O_TRUNC
const EXTEND = CREATE | constants.O_APPEND

function nodeDisk(root: string, owner?: Owner): Disk {
  const at = (path: string): string => join(root, path)
  const create = (path: string, mode: number, how = REPLACE): number => {
    const file = openSync(at(path), how, mode)
    if (owner !== undefined) fchownSync(file, owner.uid, owner.gid)
    return file
  }
  return {
    // Asked first, because most reads are of what is not there, and an exception costs more than a question.
    read: async (path) =>
      existsSync(at(path))
        ? unlessAbsent(() => readFileSync(at(path), 'utf8'), undefined)
        : undefined,
    write: async (path, text, mode) =>
      synced(create(path, mode), (file) => writeFileSync(file, text, 'utf8')),
    append: async (path, text, mode) =>
      synced(create(path, mode, EXTEND), (file) => writeFileSync(file, text, 'utf8')),
    writeLoosely: async (path, text, mode) => {
      const file = create(path, mode)
      try {
        writeFileSync(file, text, 'utf8')
      } finally {
        closeSync(file)
      }
    },
    rename: async (from, to) => renameSync(at(from), at(to)),
    syncDirectory: async (path) => synced(openSync(at(path), 'r'), () => undefined),
    list: async (path) => unlessAbsent<string[]>(() => readdirSync(at(path)), []),
    remove: async (path) => rmSync(at(path), { force: true }),
  }
}

async function synced(file: number, work: (file: number) => void): Promise<void> {
  try {
    work(file)
    await new Promise<void>((resolve, reject) => {
      fsync(file, (error) => (error === null ? resolve() : reject(error)))
    })
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
