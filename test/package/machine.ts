/**
 * A folder that stands for a Debian machine: a dpkg database of its own, a /run/systemd/system, and a systemctl that
 * behaves (systemctl.ts). The real dpkg installs into it and runs the package's real scripts.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type Ran = { readonly code: number; readonly out: string; readonly err: string }

export type Machine = {
  readonly root: string
  /** Programs before all others: systemctl, and what a test puts there. */
  readonly bin: string
  at(path: string): string
  read(path: string): Promise<string>
  dpkg(...args: string[]): Promise<Ran>
  /** `sh install.sh` and the like, with the machine's programs. */
  run(command: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ran>
  close(): Promise<void>
}

const DPKG_OPTIONS = [
  '--force-script-chrootless',
  '--force-not-root',
  '--force-bad-path',
  '--force-unsafe-io',
  // What the package needs is the machine's own affair, and this one has nothing.
  '--force-depends',
]

export async function makeMachine(): Promise<Machine> {
  const root = await mkdtemp(join(tmpdir(), 'lvsfleet-machine-'))
  // As a real root is: other users may look for their files in it.
  await chmod(root, 0o755)
  const at = (path: string): string => join(root, path)
  for (const path of [
    'var/lib/dpkg/updates',
    'var/lib/dpkg/info',
    'run/systemd/system',
    'bin',
    'tmp',
  ])
    await mkdir(at(path), { recursive: true })
  await writeFile(at('var/lib/dpkg/status'), '')
  const systemctl = fileURLToPath(new URL('systemctl.ts', import.meta.url))
  await program(at('bin/systemctl'), `exec '${process.execPath}' '${systemctl}' "$@"`)
  const run: Machine['run'] = ([file = '', ...args], env = {}) =>
    new Promise((resolve) => {
      const options = {
        env: {
          PATH: `${at('bin')}:/usr/sbin:/usr/bin:/sbin:/bin`,
          LANG: 'C',
          DPKG_ROOT: root,
          ...env,
        },
        timeout: 120_000,
      }
      execFile(file, args, options, (error, out, err) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err }),
      )
    })
  return {
    root,
    bin: at('bin'),
    at,
    read: (path) => readFile(at(path), 'utf8'),
    dpkg: (...args) => run(['dpkg', `--root=${root}`, ...DPKG_OPTIONS, ...args]),
    run,
    async close() {
      if (existsSync(at('run/lvsfleet-agent.service.pid')))
        await run([at('bin/systemctl'), 'stop', 'lvsfleet-agent.service'])
      await rm(root, { recursive: true, force: true })
    },
  }
}

/** Not one that ended and that nobody asked about. */
export async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z ')
  return !stat.includes(') Z ')
}

/** A program of one line of shell. */
export async function program(path: string, line: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${line}\n`)
  await chmod(path, 0o755)
}
