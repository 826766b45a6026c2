// What the engines have in common: a guest is a child process of the test with a duplex byte
// stream as control channel. Both die with the process that started them.
import type { ChildProcess } from 'node:child_process'
import type { Duplex } from 'node:stream'

export const ENGINE_NAMES = ['qemu', 'qemu-6.12', 'uml'] as const
export type EngineName = (typeof ENGINE_NAMES)[number]

export type BootOptions = {
  readonly repo: string
  /** Host folder that the guest sees, writable, as /lab-out. */
  readonly outDir: string
  readonly consoleFile: string
  readonly memoryMb: number
}

export type Guest = {
  readonly process: ChildProcess
  /** The control channel: fd 3 of the process. */
  readonly wire: Duplex
}

export type Engine = {
  readonly name: EngineName
  /** How long from the start to the daemon's first word, at most, on a busy machine. */
  readonly bootTimeoutMs: number
  /** How many bytes the guest's end of the channel can hold unread; undefined = it cannot overrun. */
  readonly channelWindow?: number
  boot(options: BootOptions): Guest
}

/** Set in front of the engine's command: the kernel kills it when its parent dies in any way. */
export const DIE_WITH_PARENT = ['setpriv', '--pdeathsig', 'KILL', '--'] as const
