// node scripts/setup-lab.mjs [ENGINE]: gets this machine ready for the kernel lab (test/lab): Debian packages, and the kernel
// that the engine boots. Safe to run any time: it does only what is missing, and takes a moment when nothing is.
// Plain JavaScript without dependencies, so that it runs before `npm install`.
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setupGenericKernel } from './lab/generic-kernel.mjs'
import { fail, run, say } from './lab/tell.mjs'
import { setupUml } from './lab/uml-kernel.mjs'

const repo = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
const labDir = join(repo, '.lab')

const PACKAGES = [
  'qemu-system-x86',
  'busybox-static',
  'cpio',
  'kmod',
  'iproute2',
  'ipvsadm',
  'tcpdump',
  'nftables',
  'iptables',
  'conntrack',
  'keepalived',
  'xz-utils',
]

/** By the names that test/lab/engine gives them. */
const ENGINES = {
  qemu: () => setupGenericKernel({ repo, labDir, release: 'bookworm' }),
  'qemu-6.12': () => setupGenericKernel({ repo, labDir, release: 'trixie' }),
  uml: () => setupUml({ labDir }),
}

main(process.argv[2] || 'qemu')

function main(engine) {
  const setup = ENGINES[engine]
  if (!setup) fail(`there is no engine ${engine}: ${Object.keys(ENGINES).join(', ')}`)
  const missing = PACKAGES.filter((name) => !isInstalled(name))
  const mountPoint = fs.existsSync('/lib/modules')
  if (missing.length > 0 || !mountPoint) installOrExplain(missing)
  fs.mkdirSync(labDir, { recursive: true })
  setup()
}

function isInstalled(name) {
  return (
    fs.existsSync(`/var/lib/dpkg/info/${name}.list`) ||
    fs.existsSync(`/var/lib/dpkg/info/${name}:amd64.list`)
  )
}

/** User-Mode Linux mounts its modules on /lib/modules of the read-only root, so it must exist. */
function installOrExplain(missing) {
  if (process.getuid?.() !== 0) {
    const install =
      missing.length > 0
        ? ` && apt-get update -q && apt-get install -yq --no-install-recommends ${missing.join(' ')}`
        : ''
    fail(
      `the kernel lab needs more on this machine. Run:\n\n  sudo sh -c 'mkdir -p /lib/modules${install}'\n`,
    )
  }
  fs.mkdirSync('/lib/modules', { recursive: true })
  if (missing.length === 0) return
  say(`installing Debian packages: ${missing.join(' ')}`)
  run('apt-get', ['update', '-q'])
  run('apt-get', ['install', '-yq', '--no-install-recommends', ...missing])
}
