// A long-running command in the guest, as the host sees it. Its output comes over the channel and is
// also kept in a file of the run's folder, where it survives the guest.
import * as fs from 'node:fs'
import type { ExitEvent, OutputEvent } from '../protocol.ts'

export type Exit = { readonly code: number | null; readonly signal: string | null }

export class Process {
  readonly name: string
  readonly logFile: string
  readonly exited: Promise<Exit>
  pid = 0
  private text = ''
  private stdoutText = ''
  private exit: Exit | undefined
  private watchers: (() => void)[] = []
  private readonly sendSignal: (signal: NodeJS.Signals, group: boolean) => Promise<unknown>
  private readonly settle: (exit: Exit) => void

  constructor(
    name: string,
    logFile: string,
    sendSignal: (signal: NodeJS.Signals, group: boolean) => Promise<unknown>,
  ) {
    this.name = name
    this.logFile = logFile
    this.sendSignal = sendSignal
    const { promise, resolve } = Promise.withResolvers<Exit>()
    this.exited = promise
    this.settle = resolve
  }

  /** Everything it wrote so far, stdout and stderr as they came. */
  output(): string {
    return this.text
  }

  stdout(): string {
    return this.stdoutText
  }

  get running(): boolean {
    return this.exit === undefined
  }

  /** Signals the command itself, or with `group` all processes that it started as well. */
  async kill(signal: NodeJS.Signals = 'SIGTERM', { group = false } = {}): Promise<void> {
    if (this.running) await this.sendSignal(signal, group)
  }

  /** Ends it: SIGTERM, and SIGKILL to the whole group after `graceMs`. */
  async stop(graceMs = 5000): Promise<Exit> {
    await this.kill('SIGTERM')
    const timer = setTimeout(() => void this.kill('SIGKILL', { group: true }), graceMs)
    const exit = await this.exited
    clearTimeout(timer)
    return exit
  }

  /** Waits until its output has `pattern`; fails with the output if it ends or time is up. */
  async waitFor(pattern: RegExp | string, timeoutMs = 10_000): Promise<void> {
    const found = () =>
      typeof pattern === 'string' ? this.text.includes(pattern) : pattern.test(this.text)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const fail = (why: string) =>
      reject(
        new Error(`${this.name}: ${why} before it wrote ${pattern}:\n${this.text.slice(-4000)}`),
      )
    const timer = setTimeout(() => fail(`${timeoutMs} ms went by`), timeoutMs)
    const check = () => {
      if (found()) resolve()
      else if (!this.running) fail('it ended')
    }
    this.watchers.push(check)
    check()
    try {
      await promise
    } finally {
      clearTimeout(timer)
      this.watchers = this.watchers.filter((watcher) => watcher !== check)
    }
  }

  /** For the lab only. */
  onOutput({ source, text }: OutputEvent): void {
    this.text += text
    if (source === 'stdout') this.stdoutText += text
    fs.appendFileSync(this.logFile, text)
    for (const watcher of this.watchers) watcher()
  }

  /** For the lab only: also called when the guest is gone, which ends all its processes. */
  onExit({ code, signal }: Pick<ExitEvent, 'code' | 'signal'>): void {
    if (this.exit) return
    this.exit = { code, signal }
    this.settle(this.exit)
    for (const watcher of this.watchers) watcher()
  }
}
