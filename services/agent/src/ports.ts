/**
 * What the agent takes from outside besides the kernel: time, randomness, disk, log.
 * Everything below main.ts gets these as arguments, so that tests decide what time it is and when a disk fails.
 */

export type Clock = {
  /** Wall clock, ms since 1970: for texts and tokens only; it may jump. */
  wallMs(): number
  /** ms since the host booted, the same in every process of one boot, never jumps: for every deadline. */
  monotonicMs(): number
  /** Resolves after `ms`, or at once when `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** Uniform in [0, 1). */
export type Random = () => number

export type LogLevel = 'info' | 'warn' | 'error'
/** Constant message, the rest as fields. */
export type Log = (
  level: LogLevel,
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void

/** The state directory. Paths are relative to it. Each call is one effect, after any of which the agent may die. */
export type Disk = {
  /** Whole file; undefined when there is none. */
  read(path: string): Promise<string | undefined>
  /** Creates or truncates, writes, fsyncs. Not atomic: use `saveAtomically` for anything that matters. */
  write(path: string, text: string, mode: number): Promise<void>
  /** Writes behind what is there, or into a new file, and fsyncs. A crash may leave a part of it. */
  append(path: string, text: string, mode: number): Promise<void>
  /** Like `write` without fsync, for what may be lost. */
  writeLoosely(path: string, text: string, mode: number): Promise<void>
  rename(from: string, to: string): Promise<void>
  syncDirectory(path: string): Promise<void>
  /** Names in a directory; empty when there is none. */
  list(path: string): Promise<string[]>
  /** Removes a file; no error when there is none. */
  remove(path: string): Promise<void>
}

/** Why an operator sees a failure of ours as one line: bad input or a refused action, not a bug. */
export class AgentError extends Error {
  override readonly name = 'AgentError'
  readonly exitCode: number

  constructor(message: string, exitCode = 1, options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/** The control plane did not answer, or not properly: nothing may be concluded from it. */
export class WireError extends Error {
  override readonly name = 'WireError'
}

/** The errno name of a failed system call (ENOSPC, EIO, EROFS …); undefined for any other error. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' && /^E[A-Z0-9]+$/.test(error.code) ? error.code : undefined
}
