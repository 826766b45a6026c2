// The reference: an unmodified generic Debian kernel in QEMU without KVM, that of Debian 12 (6.1) or of Debian 13 (6.12).
// The host's root is shared read-only over 9p, the output folder writable; the control channel is a virtio-serial port.
import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import {
  type BootOptions,
  DIE_WITH_PARENT,
  type Engine,
  type EngineName,
  type Guest,
} from './engine.ts'

export const qemu = engine('qemu', 'bookworm')
export const qemu612 = engine('qemu-6.12', 'trixie')

function engine(name: EngineName, release: string): Engine {
  return { name, bootTimeoutMs: 90_000, boot: (options) => boot(options, release) }
}

function boot(options: BootOptions, release: string): Guest {
  const [file, ...args] = [...DIE_WITH_PARENT, 'qemu-system-x86_64', ...machine(options, release)]
  const log = fs.openSync(options.consoleFile, 'a')
  const child = spawn(file, args, { stdio: ['ignore', log, log, 'pipe'] })
  fs.closeSync(log)
  return { process: child, wire: child.stdio[3] as Duplex }
}

function machine({ repo, outDir, memoryMb }: BootOptions, release: string): string[] {
  // The guest reads it before its root is in place: a link would lead nowhere.
  const kernel = fs.realpathSync(join(repo, `.lab/kernel-${release}`))
  const boot = `lab.boot=${repo}/test/lab/guest/init.sh lab.mod=${kernel}/lib/modules`
  const speed = 'mitigations=off tsc=reliable no_timer_check'
  return [
    ['-M', 'q35', '-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max', '-smp', '2'],
    ['-m', `${memoryMb}`, '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ['-serial', 'stdio', '-kernel', `${kernel}/image`],
    ['-initrd', `${kernel}/initrd.gz`],
    ['-append', `console=ttyS0 quiet loglevel=3 panic=-1 ${speed} ${boot}`],
    share('root', '/', ',readonly=on,multidevs=remap'),
    share('out', outDir, ''),
    ['-object', 'rng-random,filename=/dev/urandom,id=rng0', '-device', 'virtio-rng-pci,rng=rng0'],
    ['-device', 'virtio-serial-pci', '-chardev', 'socket,id=control,fd=3'],
    ['-device', 'virtserialport,chardev=control,name=lab'],
  ].flat()
}

function share(tag: string, path: string, options: string): string[] {
  const fsdev = `local,id=${tag},path=${path},security_model=none${options}`
  return ['-fsdev', fsdev, '-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`]
}
