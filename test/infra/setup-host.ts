/**
 * A host of its own in a folder, on which a setup script runs: real sh and coreutils, and programs that behave in place of
 * what would reach the network, the package database, systemd or the kernel (`programs/`).
 */
import { execFile } from 'node:child_process'
import { hash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

const PROGRAMS = fileURLToPath(new URL('programs', import.meta.url))

export type SetupHost = {
  /** Puts a package where URLs that end so find it. */
  readonly offer: (file: string, text: string) => void
  /** The kernel has these. */
  readonly knows: (modules: readonly string[]) => void
  readonly run: (script: string) => Promise<{ readonly code: number; readonly said: string }>
  /** Below its root: text, or undefined. */
  readonly file: (path: string) => string | undefined
  readonly write: (path: string, text: string) => void
  /** What the fakes keep: `installed/NAME`, `running/UNIT/pid`, `loaded`. */
  readonly kept: (path: string) => string | undefined
  readonly keep: (path: string, text: string) => void
}

export function makeSetupHost(t: TestContext): SetupHost {
  const folder = mkdtempSync(join(tmpdir(), 'lvsfleet-setup-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const root = join(folder, 'root')
  const fake = join(folder, 'fake')
  for (const name of ['root/etc', 'fake/web', 'fake/installed', 'fake/units', 'fake/running'])
    mkdirSync(join(folder, name), { recursive: true })
  const read = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8') : undefined)
  const write = (file: string, text: string) => {
    mkdirSync(join(file, '..'), { recursive: true })
    writeFileSync(file, text)
  }
  return {
    offer: (file, text) => write(join(fake, 'web', file), text),
    knows: (modules) => write(join(fake, 'modules'), `${modules.join('\n')}\n`),
    run: (script) => {
      write(join(folder, 'script'), script)
      return new Promise((resolve) => {
        const env = {
          PATH: `${PROGRAMS}:/usr/bin:/bin`,
          TMPDIR: folder,
          FAKE: fake,
          LVSFLEET_SETUP_ROOT: root,
        }
        const child = execFile(
          'sh',
          [join(folder, 'script')],
          { env, timeout: 30_000 },
          (_, a, b) => resolve({ code: child.exitCode ?? -1, said: `${a}${b}` }),
        )
      })
    },
    file: (path) => read(join(root, path)),
    write: (path, text) => write(join(root, path), text),
    kept: (path) => read(join(fake, path)),
    keep: (path, text) => write(join(fake, path), text),
  }
}

export const sha256 = (text: string): string => hash('sha256', text)
