/** HostReader: what the doctor reads of the host beside the kernel's netlink. Fakes have files in memory. */
import { open, readdir, readFile, readlink, statfs, writeFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { runProgram } from '../../kernel/run-program.ts'
import { errnoOf } from '../../ports.ts'
import type { StateDirectory } from './facts.ts'

export type HostReader = {
  /** undefined when it is not there or may not be read. */
  readText(path: string): Promise<string | undefined>
  /** The same, at most its first bytes. */
  readStart(path: string, bytesMax: number): Promise<string | undefined>
  /** Names in a folder; empty when there is none. */
  list(path: string): Promise<readonly string[]>
  readLink(path: string): Promise<string | undefined>
  /** What a program printed and how it ended; undefined when it is not installed or does not end. */
  run(command: readonly string[]): Promise<{ code: number; output: string } | undefined>
  tryStateDirectory(path: string): Promise<StateDirectory>
}

export const hostReader: HostReader = {
  readText: (path) => readFile(path, 'utf8').catch(() => undefined),
  readStart: (path, bytesMax) => readStart(path, bytesMax).catch(() => undefined),
  list: (path) => readdir(path).catch(() => []),
  readLink: (path) => readlink(path).catch(() => undefined),
  run: (command) => outputOf(command),
  tryStateDirectory,
}

/** Files of /proc have no size, and give what they please at a time. */
async function readStart(path: string, bytesMax: number): Promise<string> {
  await using file = await open(path)
  const bytes = Buffer.alloc(bytesMax)
  let length = 0
  while (length < bytesMax) {
    const { bytesRead } = await file.read(bytes, length, bytesMax - length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return bytes.toString('latin1', 0, length)
}

async function outputOf(
  command: readonly string[],
): Promise<{ code: number; output: string } | undefined> {
  const ended = await runProgram(command)
  return ended.is === 'ended'
    ? { code: ended.code, output: ended.stdout + ended.stderr }
    : undefined
}

/** By trying: permissions, read-only mounts and full disks all look alike to somebody who only asks. */
async function tryStateDirectory(path: string): Promise<StateDirectory> {
  const space = await statfs(path).catch(() => undefined)
  const freeBytes = space === undefined ? null : space.bavail * space.bsize
  const file = join(path, `doctor.${process.pid}`)
  try {
    await writeFile(file, 'the doctor was here\n', { mode: 0o600 })
    await rm(file, { force: true })
    return { error: null, freeBytes }
  } catch (error) {
    return { error: `cannot be written: ${errnoOf(error) ?? String(error)}`, freeBytes }
  }
}
