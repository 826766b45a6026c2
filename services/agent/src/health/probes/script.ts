/**
 * An operator's program on this host: exit 0 is good. Runs only where the host allows it, and only what root put into the
 * one folder that the host names: intent comes from the network, programs do not.
 */
import type { Stats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { startDeadline } from '../deadline.ts'
import { bad, cannotRun, oneLine } from '../failure.ts'
import type { ProbeOf, ProbeResult, ProbeTarget } from '../probe.ts'

const OUTPUT_BYTES_MAX = 1_024
/** Bits of a mode that let group or others write. */
const WRITABLE_BY_OTHERS = 0o022

export type ScriptRules = {
  /** The folder, absolute; undefined = no scripts on this host. */
  readonly folder: string | undefined
  /** Who must own folder and programs: 0 = root. */
  readonly ownerUid: number
}

export async function probeScript(
  probe: ProbeOf<'script'>,
  target: ProbeTarget,
  rules: ScriptRules,
): Promise<ProbeResult> {
  const refusal = await refusalOf(probe.path, rules)
  return refusal === undefined ? run(probe, target) : cannotRun(refusal)
}

async function refusalOf(
  path: string,
  { folder, ownerUid }: ScriptRules,
): Promise<string | undefined> {
  if (folder === undefined) return 'this host allows no scripts (--allow-scripts DIR)'
  if (dirname(path) !== folder) return `${path} is not in ${folder}`
  for (const [name, isRight] of [
    [folder, (found: Stats) => found.isDirectory()],
    [path, (found: Stats) => found.isFile()],
  ] as const) {
    const found = await lstat(name).catch(() => undefined)
    if (found === undefined) return `${name} is not there`
    if (!isRight(found)) return `${name} is no plain ${name === path ? 'file' : 'folder'}`
    if (found.uid !== ownerUid) return `${name} belongs to user ${found.uid}, not to ${ownerUid}`
    if ((found.mode & WRITABLE_BY_OTHERS) !== 0) return `${name} is writable by others`
  }
  return undefined
}

function run(probe: ProbeOf<'script'>, target: ProbeTarget): Promise<ProbeResult> {
  const { spawn } = process.getBuiltinModule('node:child_process')
  const startedMs = performance.now()
  return new Promise((resolve) => {
    // A process group of its own, so that what it starts dies with it.
    const child = spawn(probe.path, probe.args, {
      cwd: '/',
      detached: true,
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        LVSFLEET_REAL_SERVER: target.realServer,
        LVSFLEET_ADDRESS: target.address,
        LVSFLEET_PORT: String(target.port),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.unref()
    if (child.pid !== undefined) noteGroup(child.pid)
    let output = ''
    let isOver = false
    const finish = (result: ProbeResult): void => {
      if (isOver) return
      isOver = true
      cancel()
      if (child.pid !== undefined) endGroup(child.pid)
      child.stdout.destroy()
      child.stderr.destroy()
      resolve(result)
    }
    const cancel = startDeadline(target.timeoutMs, () =>
      finish(bad('silent', `killed: not done within ${target.timeoutMs} ms`)),
    )
    const note = (bytes: Buffer): void => {
      if (output.length < OUTPUT_BYTES_MAX) output += bytes.toString('latin1')
    }
    child.stdout.on('data', note)
    child.stderr.on('data', note)
    child.on('error', (error) => finish(cannotRun(error.message)))
    child.on('exit', (code, signal) => {
      // What it printed may come after its end.
      setImmediate(() => {
        const said = oneLine(output.split('\n')[0] ?? '')
        const detail = said === '' ? `exit ${code ?? signal}` : `exit ${code ?? signal}: ${said}`
        if (code !== 0) return finish(bad('wrong', detail))
        finish({ is: 'good', latencyMs: performance.now() - startedMs, detail })
      })
    })
  })
}

/** Process groups of running scripts. */
const groups = new Set<number>()

/** An agent that ends takes its scripts with it. */
function noteGroup(pid: number): void {
  if (groups.size === 0) process.once('exit', endAll)
  groups.add(pid)
}

/** Also after a good end: a check that leaves programs behind would fill the host. */
function endGroup(pid: number): void {
  groups.delete(pid)
  if (groups.size === 0) process.off('exit', endAll)
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // ESRCH: nothing is left of it.
  }
}

function endAll(): void {
  for (const pid of groups) endGroup(pid)
}
