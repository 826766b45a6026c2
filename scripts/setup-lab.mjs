// Gets this machine ready for the kernel lab (test/lab): Debian packages, an unpacked generic
// kernel in .lab/kernel and the initramfs of the QEMU guest. Safe to run any time: it does only
// what is missing, and takes a moment when nothing is. Plain JavaScript without dependencies, so
// that it runs before `npm install` and on the Node a machine happens to have (20 or newer).
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const repo = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
const labDir = join(repo, '.lab')
const kernelDir = join(labDir, 'kernel')
const image = join(kernelDir, 'image')
const initrd = join(labDir, 'initrd.gz')
const initScript = join(repo, 'test/lab/guest/initramfs-init.sh')

const PACKAGES = [
  'qemu-system-x86',
  'user-mode-linux',
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
/** What the guest needs before its root file system and its control channel are there. */
const BOOT_MODULES = ['virtio_pci', '9pnet_virtio', '9p', 'overlay', 'virtio_rng', 'virtio_console']
/** The kernel the measurements in the documentation are about; a newer build of it is welcome. */
const KERNEL_PACKAGE = /^linux-image-6\.1\.0-(\d+)-amd64$/
const XZ_MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])
const ELF_MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46])
const isRoot = process.getuid?.() === 0

main()

function main() {
  const missing = PACKAGES.filter((name) => !isInstalled(name))
  const mountPoint = fs.existsSync('/lib/modules')
  if (missing.length > 0 || !mountPoint) installOrExplain(missing)
  const version = unpackedKernel() ?? unpackKernel()
  if (!fs.existsSync(image)) buildImage(version)
  const stamp = initrdStamp(version)
  if (readIfThere(`${initrd}.stamp`) !== stamp) buildInitrd(version, stamp)
}

function isInstalled(name) {
  return (
    fs.existsSync(`/var/lib/dpkg/info/${name}.list`) ||
    fs.existsSync(`/var/lib/dpkg/info/${name}:amd64.list`)
  )
}

/** User-Mode Linux mounts its modules on /lib/modules of the read-only root, so it must exist. */
function installOrExplain(missing) {
  if (!isRoot) {
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

function unpackedKernel() {
  const version = readIfThere(join(kernelDir, 'version'))
  return version && fs.existsSync(join(kernelDir, 'boot', `vmlinuz-${version}`))
    ? version
    : undefined
}

function unpackKernel() {
  const name = newestKernelPackage()
  const download = join(labDir, 'download')
  fs.rmSync(download, { recursive: true, force: true })
  fs.rmSync(kernelDir, { recursive: true, force: true })
  fs.mkdirSync(download, { recursive: true })
  say(`downloading ${name} (70 MB)`)
  run('apt-get', ['download', '-q', name], download)
  const file = fs.readdirSync(download).find((entry) => entry.endsWith('.deb'))
  if (!file) fail(`apt-get download ${name} left no package behind`)
  say('unpacking it into .lab/kernel')
  run('dpkg-deb', ['-x', join(download, file), kernelDir])
  const version = name.slice('linux-image-'.length)
  run(tool('depmod'), ['-b', kernelDir, version])
  fs.rmSync(download, { recursive: true, force: true })
  fs.writeFileSync(join(kernelDir, 'version'), version)
  return version
}

/** Asks apt once more after an update: a fresh machine has no package lists at all. */
function newestKernelPackage() {
  const find = () =>
    run('apt-cache', ['search', '--names-only', '^linux-image-6\\.1\\.0-[0-9]+-amd64$'])
      .split('\n')
      .map((line) => KERNEL_PACKAGE.exec(line.split(' ')[0]))
      .filter((match) => match !== null)
      .sort((a, b) => Number(b[1]) - Number(a[1]))[0]?.[0]
  const known = find()
  if (known) return known
  if (isRoot) run('apt-get', ['update', '-q'])
  return find() ?? fail('apt knows no linux-image-6.1.0-NN-amd64. Run: sudo apt-get update')
}

/**
 * QEMU boots an unpacked kernel (ELF with a PVH entry) as well, and unpacking xz on an emulated CPU
 * costs 2.5 s of each boot. A kernel that is packed in another way is booted as it is.
 */
function buildImage(version) {
  const packed = fs.readFileSync(join(kernelDir, 'boot', `vmlinuz-${version}`))
  const at = packed.indexOf(XZ_MAGIC)
  const options = { input: packed.subarray(at), maxBuffer: 1 << 29, timeout: 60_000 }
  const unpacked = at < 0 ? undefined : spawnSync('xz', ['-dc', '--single-stream'], options).stdout
  const isElf = unpacked?.subarray(0, 4).equals(ELF_MAGIC)
  fs.writeFileSync(`${image}.new`, isElf ? unpacked : packed)
  fs.renameSync(`${image}.new`, image)
}

function initrdStamp(version) {
  const hash = createHash('sha256')
  hash.update(JSON.stringify([version, BOOT_MODULES])).update(fs.readFileSync(initScript))
  return hash.digest('hex')
}

function buildInitrd(version, stamp) {
  const root = join(labDir, 'initrd.root')
  fs.rmSync(root, { recursive: true, force: true })
  for (const dir of ['bin', 'modules', 'proc', 'sys', 'dev', 'lower', 'rw', 'new'])
    fs.mkdirSync(join(root, dir), { recursive: true })
  fs.copyFileSync(busybox(), join(root, 'bin/busybox'))
  fs.copyFileSync(initScript, join(root, 'init'))
  fs.chmodSync(join(root, 'init'), 0o755)
  const order = moduleFiles(version)
  for (const file of order)
    fs.copyFileSync(
      join(kernelDir, 'lib/modules', version, file),
      join(root, 'modules', baseName(file)),
    )
  fs.writeFileSync(join(root, 'modules/order'), `${order.map(baseName).join('\n')}\n`)
  run('sh', ['-c', `find . | cpio -o -H newc --quiet | gzip -1 > '${initrd}.new'`], root)
  fs.renameSync(`${initrd}.new`, initrd)
  fs.writeFileSync(`${initrd}.stamp`, stamp)
  fs.rmSync(root, { recursive: true, force: true })
}

/** Module files with what they depend on, in the order in which they can be inserted. */
function moduleFiles(version) {
  const base = join(kernelDir, 'lib/modules', version)
  const dependencies = new Map()
  for (const line of fs.readFileSync(join(base, 'modules.dep'), 'utf8').split('\n')) {
    const [file, rest] = line.split(':')
    if (file) dependencies.set(file, (rest ?? '').trim().split(' ').filter(Boolean))
  }
  const builtin = fs.readFileSync(join(base, 'modules.builtin'), 'utf8')
  const order = []
  for (const name of BOOT_MODULES) {
    const matches = (file) => baseName(file).replaceAll('-', '_') === `${name}.ko`
    const file = [...dependencies.keys()].find(matches)
    if (!file && builtin.includes(`/${name}.ko`)) continue
    if (!file) fail(`kernel ${version} has no module ${name}`)
    // modules.dep lists the dependencies of dependencies too, nearest first.
    for (const needed of [...dependencies.get(file)].reverse().concat(file))
      if (!order.includes(needed)) order.push(needed)
  }
  return order
}

function busybox() {
  return fs.existsSync('/bin/busybox') ? '/bin/busybox' : '/usr/bin/busybox'
}

function tool(name) {
  const found = ['/usr/sbin', '/sbin', '/usr/bin', '/bin']
    .map((dir) => join(dir, name))
    .find(fs.existsSync)
  return found ?? name
}

function baseName(file) {
  return file.slice(dirname(file).length + 1)
}

function readIfThere(file) {
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined
}

function run(command, args, cwd = repo) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const result = spawnSync(command, args, {
    cwd,
    env,
    encoding: 'utf8',
    timeout: 600_000,
    maxBuffer: 1 << 26,
  })
  if (result.status === 0) return result.stdout
  const reason = result.error?.message ?? `exit status ${result.status}`
  return fail(
    `${command} ${args.join(' ')}: ${reason}\n${result.stdout ?? ''}${result.stderr ?? ''}`,
  )
}

function say(text) {
  console.error(`setup-lab: ${text}`)
}

function fail(text) {
  say(text)
  process.exit(1)
}
