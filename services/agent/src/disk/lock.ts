/**
 * One agent per state directory: two would fight over one ledger. The lock names a process and when that
 * process started, so that one left by a kill is taken over and a reused process id is not mistaken for it.
 */
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AgentError } from '../ports.ts'

const ATTEMPTS_MAX = 5

/** Takes the lock; throws when another agent has it. Gives the function that releases it. */
export async function takeLock(root: string): Promise<() => Promise<void>> {
  const path = join(root, 'lock')
  const own = `${path}.${process.pid}`
  const content = `${process.pid} ${await startOf(process.pid)}\n`
  await writeFile(own, content, { mode: 0o600 })
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if (await linked(own, path)) return () => rm(path, { force: true })
      const holder = await readFile(path, 'utf8').catch(() => '')
      if (await isAlive(holder)) {
        const pid = holder.split(' ')[0] ?? '?'
        throw new AgentError(`another agent (process ${pid}) uses ${root}: stop it first`)
      }
      await removeStale(path, holder)
    }
  } finally {
    await rm(own, { force: true })
  }
  throw new AgentError(`cannot take the lock ${path}: others are taking it at the same time`)
}

/** link(2) refuses an existing name, in one step. */
async function linked(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

async function removeStale(path: string, seen: string): Promise<void> {
  const aside = `${path}.stale.${process.pid}`
  await rename(path, aside).catch(() => undefined)
  // Somebody else may have been quicker and put a fresh lock there: give it back.
  const moved = await readFile(aside, 'utf8').catch(() => seen)
  if (moved !== seen) await link(aside, path).catch(() => undefined)
  await rm(aside, { force: true })
}

async function isAlive(holder: string): Promise<boolean> {
  const match = /^(\d+) (\S+)\n$/.exec(holder)
  if (match?.[1] === undefined) return false
  const start = await startOf(Number(match[1]))
  return start !== 'none' && start === match[2]
}

/** Start time of a process in clock ticks since boot, with the boot id; `none` when it is not there. */
async function startOf(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (stat === undefined) return 'none'
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')
  // After the last ')' because a process name may hold spaces; field 22 of proc(5) is the 20th from there.
  return `${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '?'}@${bootId.trim()}`
}
