// The quick engine: User-Mode Linux of Debian 13, a kernel that is an ordinary process. One CPU, no KVM needed.
// It is started in its own folder, as its C library is beside it (scripts/lab/uml-kernel.mjs).
// Its helper processes outlive a killed kernel, so it runs as process 1 of a pid namespace, which
// takes all of them along. The control channel is its first serial line, on fd 3.
// All of it stays on one processor: each page fault and system call in the guest goes from one host process to
// another and back, and on a virtual machine waking a halted processor for that costs three times the work itself.
import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { type BootOptions, DIE_WITH_PARENT, type Engine, type Guest } from './engine.ts'

const OWN_PIDS = ['unshare', '--pid', '--fork', '--kill-child=KILL', '--mount-proc', '--'] as const
const WITH_OWN_LIBRARY = ['env', 'LD_LIBRARY_PATH=lib'] as const

export const uml: Engine = { name: 'uml', bootTimeoutMs: 60_000, channelWindow: 3500, boot }

function boot(options: BootOptions): Guest {
  const [file, ...args] = [
    ...DIE_WITH_PARENT,
    ...OWN_PIDS,
    ...onOneProcessor(),
    ...WITH_OWN_LIBRARY,
    './linux',
    ...kernelArguments(options),
  ]
  const log = fs.openSync(options.consoleFile, 'a')
  const env = { ...process.env, TMPDIR: '/dev/shm' }
  const child = spawn(file, args, {
    cwd: join(options.repo, '.lab/uml'),
    stdio: ['ignore', log, log, 'pipe'],
    env,
  })
  fs.closeSync(log)
  return { process: child, wire: child.stdio[3] as Duplex }
}

/** The last one of those that this process may use: "0-3,8" → "8". */
function onOneProcessor(): string[] {
  const [, list = '0'] =
    /^Cpus_allowed_list:\s*(\S+)/m.exec(fs.readFileSync('/proc/self/status', 'utf8')) ?? []
  return ['taskset', '--cpu-list', /\d+$/.exec(list)?.[0] ?? '0']
}

function kernelArguments({ repo, outDir, memoryMb }: BootOptions): string[] {
  return [
    [`mem=${memoryMb}M`, 'rootfstype=hostfs', 'rootflags=/', 'ro'],
    [
      `init=${repo}/test/lab/guest/uml-init.sh`,
      `lab.boot=${repo}/test/lab/guest/init.sh`,
      `lab.mod=${fs.realpathSync(join(repo, '.lab/uml'))}/modules`,
    ],
    [`lab.out=${outDir}`, 'lab.channel=serial', 'ssl=null', 'ssl0=fd:3'],
    ['con=null', 'con0=null,fd:1', 'con1=null', 'quiet', 'loglevel=3', 'panic=-1'],
  ].flat()
}
