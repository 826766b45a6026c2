/**
 * The agent's .deb: stages the files of package-tree.ts and lets dpkg-deb pack them. The same bytes for the same code:
 * one date, root as owner, one thread of the compressor. Gives the path of the package.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  constants as fsConstants,
  copyFileSync,
  existsSync,
  globSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { archOfElf, type Arch } from './elf.ts'
import { findNatives, type Natives } from './natives.ts'
import {
  CONFFILES,
  MAINTAINER_SCRIPTS,
  NODE_PATH,
  ownFile,
  packageTree,
  type Entry,
} from './package-tree.ts'

export type PackageOptions = {
  readonly version: string
  readonly arch: Arch
  readonly bundle: string
  readonly outdir: string
  /** Seconds since 1970: the date of all files. */
  readonly epoch: number
  /** Where Node and koffi's library lie, if not where `findNatives` says. */
  readonly natives?: Natives
  /** Node is left out, for tests that install often: it is most of the package, and only a file. */
  readonly withoutNode?: boolean
  /** xz for what ships; none is quick. */
  readonly compression: readonly [kind: 'xz' | 'none', level: number]
}

export function packageAgent(options: PackageOptions): string {
  const { version, arch, outdir, epoch, compression } = options
  const natives = options.natives ?? findNatives(arch)
  const entries = packageTree({ ...options, natives }).filter(
    ({ path }) => options.withoutNode !== true || path !== NODE_PATH,
  )
  const stage = mkdtempSync(join(tmpdir(), 'lvsfleet-package-'))
  try {
    for (const entry of entries) place(stage, entry)
    checkMachine(stage, arch)
    writeControl(stage, entries, options)
    date(stage, epoch)
    mkdirSync(outdir, { recursive: true })
    const deb = join(outdir, `lvsfleet-agent_${version}_${arch}.deb`)
    const [kind, level] = compression
    const args = ['--build', '--root-owner-group', '--threads-max=1', `-Z${kind}`, `-z${level}`]
    const env = { ...process.env, SOURCE_DATE_EPOCH: String(epoch) }
    const done = spawnSync('dpkg-deb', [...args, stage, deb], { encoding: 'utf8', env })
    if (done.status !== 0) throw new Error(`dpkg-deb: ${done.error?.message ?? done.stderr}`)
    return deb
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}

/** SHA256SUMS of the packages, as `sha256sum -c` and install.sh read it. */
export function writeChecksums(packages: readonly string[], outdir: string): string {
  const lines = packages.map(
    (path) =>
      `${createHash('sha256').update(readFileSync(path)).digest('hex')}  ${basename(path)}\n`,
  )
  const file = join(outdir, 'SHA256SUMS')
  writeFileSync(file, lines.toSorted().join(''))
  return file
}

function place(stage: string, entry: Entry): void {
  const path = join(stage, entry.path)
  mkdirSync(dirname(path), { recursive: true })
  if ('text' in entry) writeFileSync(path, entry.text)
  else copyFileSync(entry.from, path, fsConstants.COPYFILE_FICLONE)
  chmodSync(path, entry.mode)
}

/** Of all that is machine code: one wrong binary would show only on the host. */
function checkMachine(stage: string, arch: Arch): void {
  const node = NODE_PATH.slice(1)
  for (const name of [node, ...globSync('**/*.node', { cwd: stage })]) {
    if (!existsSync(join(stage, name))) continue
    const found = archOfElf(readFileSync(join(stage, name)))
    if (found !== arch) throw new Error(`${name} is for ${found ?? 'no machine'}, not for ${arch}`)
  }
}

function writeControl(stage: string, entries: readonly Entry[], options: PackageOptions): void {
  const control = join(stage, 'DEBIAN')
  mkdirSync(control)
  const bytes = entries.reduce((sum, { path }) => sum + statSync(join(stage, path)).size, 0)
  writeFileSync(join(control, 'control'), controlText(options, Math.ceil(bytes / 1024)))
  writeFileSync(join(control, 'conffiles'), CONFFILES.map((path) => `${path}\n`).join(''))
  const sums = entries
    .filter(({ path }) => CONFFILES.every((conffile) => conffile !== path))
    .map(({ path }) => {
      const sum = createHash('md5')
        .update(readFileSync(join(stage, path)))
        .digest('hex')
      return `${sum}  ${path.slice(1)}\n`
    })
  writeFileSync(join(control, 'md5sums'), sums.toSorted().join(''))
  for (const name of MAINTAINER_SCRIPTS) {
    writeFileSync(join(control, name), ownFile(name))
    chmodSync(join(control, name), 0o755)
  }
}

/** What Node's binary is linked against, as `objdump -p` says: glibc 2.28, libstdc++ of GCC 8. */
const DEPENDS = 'libc6 (>= 2.28), libstdc++6 (>= 8), libgcc-s1, systemd (>= 247), kmod, procps'

function controlText({ version, arch }: PackageOptions, kibibytes: number): string {
  return `Package: lvsfleet-agent
Version: ${version}
Architecture: ${arch}
Maintainer: LVS Fleet <lvsfleet@localhost>
Installed-Size: ${kibibytes}
Depends: ${DEPENDS}
Recommends: nftables
Section: net
Priority: optional
Description: agent of LVS Fleet: makes this host's kernel as the fleet says
 Runs on directors and real servers. Polls the control plane for this host's
 signed state, programs IPVS, VIPs and tunnels with it, and keeps the last good
 state in force when nobody answers. Brings its own Node.js.
`
}

function date(stage: string, epoch: number): void {
  for (const name of ['.', ...globSync('**/*', { cwd: stage })]) {
    lutimesSync(join(stage, name), epoch, epoch)
    if (statSync(join(stage, name)).isDirectory()) chmodSync(join(stage, name), 0o755)
  }
}
