// An unmodified kernel of Debian for QEMU: unpacked into .lab/kernel-RELEASE, beside the initramfs that finds the guest's root.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { basename, join } from 'node:path'
import { withDebian } from './debian.mjs'
import { fail, run, say } from './tell.mjs'

/** What the guest needs before its root file system and its control channel are there. */
const BOOT_MODULES = ['virtio_pci', '9pnet_virtio', '9p', 'overlay', 'virtio_rng', 'virtio_console']
const XZ_MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])
const ELF_MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46])

export function setupGenericKernel({ repo, labDir, release }) {
  const kernelDir = join(labDir, `kernel-${release}`)
  const version = unpackedKernel(kernelDir) ?? unpackKernel(labDir, kernelDir, release)
  const image = join(kernelDir, 'image')
  if (!fs.existsSync(image)) buildImage(kernelDir, version, image)
  const initrd = join(kernelDir, 'initrd.gz')
  const initScript = join(repo, 'test/lab/guest/initramfs-init.sh')
  const stamp = initrdStamp(version, initScript)
  if (readIfThere(`${initrd}.stamp`) === stamp) return
  buildInitrd(kernelDir, version, initScript, initrd)
  fs.writeFileSync(`${initrd}.stamp`, stamp)
}

function unpackedKernel(kernelDir) {
  const version = readIfThere(join(kernelDir, 'version'))
  return version && fs.existsSync(join(kernelDir, 'boot', `vmlinuz-${version}`))
    ? version
    : undefined
}

function unpackKernel(labDir, kernelDir, release) {
  fs.rmSync(kernelDir, { recursive: true, force: true })
  const name = withDebian(release, labDir, ({ newest, unpack }) => {
    const found =
      newest('linux-image-amd64') ?? fail(`Debian ${release} names no linux-image-amd64`)
    unpack([found], kernelDir)
    return found
  })
  const version = name.slice('linux-image-'.length)
  // Debian 13 has it below /usr only, which depmod does not look into.
  if (!fs.existsSync(join(kernelDir, 'lib'))) fs.symlinkSync('usr/lib', join(kernelDir, 'lib'))
  run(tool('depmod'), ['-b', kernelDir, version])
  fs.writeFileSync(join(kernelDir, 'version'), version)
  return version
}

/**
 * QEMU boots an unpacked kernel (ELF with a PVH entry) as well, and unpacking it on an emulated processor
 * costs 2.5 s of each boot. A kernel that is packed in another way is booted as it is.
 */
function buildImage(kernelDir, version, image) {
  const packed = fs.readFileSync(join(kernelDir, 'boot', `vmlinuz-${version}`))
  const at = packed.indexOf(XZ_MAGIC)
  // Not `run`: what is no whole stream is no failure of the setup.
  const options = { input: packed.subarray(at), maxBuffer: 1 << 29, timeout: 60_000 }
  const unpacked = at < 0 ? undefined : spawnSync('xz', ['-dc', '--single-stream'], options).stdout
  const isElf = unpacked?.subarray(0, 4).equals(ELF_MAGIC)
  fs.writeFileSync(`${image}.new`, isElf ? unpacked : packed)
  fs.renameSync(`${image}.new`, image)
}

function initrdStamp(version, initScript) {
  const hash = createHash('sha256')
  hash.update(JSON.stringify([version, BOOT_MODULES])).update(fs.readFileSync(initScript))
  return hash.digest('hex')
}

function buildInitrd(kernelDir, version, initScript, initrd) {
  say('making the initramfs')
  const root = join(kernelDir, 'initrd.root')
  fs.rmSync(root, { recursive: true, force: true })
  for (const dir of ['bin', 'modules', 'proc', 'sys', 'dev', 'lower', 'rw', 'new'])
    fs.mkdirSync(join(root, dir), { recursive: true })
  fs.copyFileSync(busybox(), join(root, 'bin/busybox'))
  fs.copyFileSync(initScript, join(root, 'init'))
  fs.chmodSync(join(root, 'init'), 0o755)
  const order = moduleFiles(kernelDir, version)
  for (const file of order) {
    const bytes = unpackModule(join(kernelDir, 'lib/modules', version, file))
    fs.writeFileSync(join(root, 'modules', moduleName(file)), bytes)
  }
  fs.writeFileSync(join(root, 'modules/order'), `${order.map(moduleName).join('\n')}\n`)
  run('sh', ['-c', `find . | cpio -o -H newc --quiet | gzip -1 > '${initrd}.new'`], { cwd: root })
  fs.renameSync(`${initrd}.new`, initrd)
  fs.rmSync(root, { recursive: true, force: true })
}

/** Debian 13 packs its modules, and the initramfs inserts them as they are. */
function unpackModule(file) {
  return file.endsWith('.xz')
    ? run('xz', ['-dc', file], { encoding: 'buffer' })
    : fs.readFileSync(file)
}

/** Module files with what they depend on, in the order in which they can be inserted. */
function moduleFiles(kernelDir, version) {
  const base = join(kernelDir, 'lib/modules', version)
  const dependencies = new Map()
  for (const line of fs.readFileSync(join(base, 'modules.dep'), 'utf8').split('\n')) {
    const [file, rest] = line.split(':')
    if (file) dependencies.set(file, (rest ?? '').trim().split(' ').filter(Boolean))
  }
  const builtin = fs.readFileSync(join(base, 'modules.builtin'), 'utf8')
  const order = []
  for (const name of BOOT_MODULES) {
    const matches = (file) => moduleName(file).replaceAll('-', '_') === `${name}.ko`
    const file = [...dependencies.keys()].find(matches)
    if (!file && builtin.includes(`/${name}.ko`)) continue
    if (!file) fail(`kernel ${version} has no module ${name}`)
    // modules.dep lists the dependencies of dependencies too, nearest first.
    for (const needed of [...dependencies.get(file)].reverse().concat(file))
      if (!order.includes(needed)) order.push(needed)
  }
  return order
}

function moduleName(file) {
  return basename(file).replace(/\.xz$/, '')
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

function readIfThere(file) {
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined
}
