/**
 * One agent per state directory: two would fight over one ledger. The lock names a process and when that
 * process started, so that one left by a kill is taken over and a reused process id is not mistaken for it.
 */
import { linkSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AgentError } from '../ports.ts'
import { readIfThere } from './read-if-there.ts'

const ATTEMPTS_MAX = 5

/** Takes the lock; throws when another agent has it. Gives the function that releases it. */
export function takeLock(root: string): () => void {
  const path = join(root, 'lock')
  const own = `${path}.${process.pid}`
  const content = `${process.pid} ${startOf(process.pid)}\n`
  writeFileSync(own, content, { mode: 0o600 })
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if (linked(own, path)) return () => rmSync(path, { force: true })
      const holder = readIfThere(path) ?? ''
      if (isAlive(holder)) {
        const pid = holder.split(' ')[0] ?? '?'
        throw new AgentError(`another agent (process ${pid}) uses ${root}: stop it first`)
      }
      removeStale(path, holder)
    }
  } finally {
    rmSync(own, { force: true })
  }
  throw new AgentError(`cannot take the lock ${path}: others are taking it at the same time`)
}

/** link(2) refuses an existing name, in one step. */
function linked(own: string, path: string): boolean {
  try {
    linkSync(own, path)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

function removeStale(path: string, seen: string): void {
  const aside = `${path}.stale.${process.pid}`
  unlessGone(() => renameSync(path, aside))
  // Somebody else may have been quicker and put a fresh lock there: give it back.
  if ((readIfThere(aside) ?? seen) !== seen) unlessGone(() => linkSync(aside, path))
  rmSync(aside, { force: true })
}

function isAlive(holder: string): boolean {
  const match = /^(\d+) (\S+)\n$/.exec(holder)
  if (match?.[1] === undefined) return false
  const start = startOf(Number(match[1]))
  return start !== 'none' && start === match[2]
}

/** Start time of a process in clock ticks since boot, with the boot id; `none` when it is not there. */
function startOf(pid: number): string {
  const stat = readIfThere(`/proc/${pid}/stat`)
  if (stat === undefined) return 'none'
  const bootId = readIfThere('/proc/sys/kernel/random/boot_id') ?? ''
  // After the last ')' because a process name may hold spaces; field 22 of proc(5) is the 20th from there.
  return `${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '?'}@${bootId.trim()}`
}

/** Another may be quicker at it. */
function unlessGone(work: () => void): void {
  try {
    work()
  } catch {
    // It is as it should be, or the next attempt sees why not.
  }
}
