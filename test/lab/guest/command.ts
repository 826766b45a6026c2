// Runs commands in the hosts' namespaces: short ones to their end (`runCommand`), long-running ones
// with their output sent to the host as it comes (`Processes`). Each has its own process group, so
// that a deadline ends a whole pipeline.
import { type ChildProcess, spawn } from 'node:child_process'
import type { ExitEvent, OutputEvent, RunRequest, RunResult, SpawnRequest } from '../protocol.ts'
import { inNamespace, ROOT } from './namespace.ts'

const OUTPUT_MAX = 16 * 1024 * 1024

export function runCommand(request: RunRequest): Promise<RunResult> {
  const [file, ...args] = commandLine(request.command)
  const child = inNamespace(request.host, () =>
    spawn(file, args, { env: { ...process.env, ...request.env }, detached: true, stdio: 'pipe' }),
  )
  return new Promise((resolve, reject) => {
    const result = { stdout: '', stderr: '' }
    const timer = setTimeout(() => {
      killGroup(child, 'SIGKILL')
      const said = `${result.stdout}${result.stderr}`.slice(-4000)
      reject(new Error(`${label(request)}: not done within ${request.timeoutMs} ms\n${said}`))
    }, request.timeoutMs)
    for (const source of ['stdout', 'stderr'] as const) {
      child[source].setEncoding('utf8').on('data', (text: string) => {
        if (result[source].length < OUTPUT_MAX) result[source] += text
      })
    }
    child.on('error', (error) => {
      clearTimeout(timer)
      reject(new Error(`${label(request)}: ${error.message}`))
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code: code ?? 128 + signalNumber(signal), ...result })
    })
    child.stdin.on('error', () => undefined)
    child.stdin.end(request.stdin ?? '')
  })
}

/** The long-running commands, by the id that the host gave them. */
export class Processes {
  private readonly children = new Map<number, ChildProcess>()
  private readonly emit: (name: string, event: OutputEvent | ExitEvent) => void

  constructor(emit: (name: string, event: OutputEvent | ExitEvent) => void) {
    this.emit = emit
  }

  /** `ip netns exec` gives the command its own /sys as well, then becomes it: same pid. */
  start(request: SpawnRequest): Promise<{ pid: number }> {
    const inside = request.host === ROOT ? [] : ['ip', 'netns', 'exec', request.host]
    const [file, ...args] = [...inside, ...commandLine(request.command)]
    const env = { ...process.env, ...request.env }
    const child = spawn(file ?? '', args, {
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const { id } = request
    this.children.set(id, child)
    for (const source of ['stdout', 'stderr'] as const) {
      const send = (text: string) => this.emit('output', { id, source, text })
      child[source].setEncoding('utf8').on('data', send)
    }
    child.on('close', (code, signal) => {
      this.children.delete(id)
      this.emit('exit', { id, code, signal })
    })
    return new Promise((resolve, reject) => {
      child.on('error', (error) => reject(new Error(`${label(request)}: ${error.message}`)))
      child.on('spawn', () => resolve({ pid: child.pid ?? 0 }))
    })
  }

  /** A process that is gone already counts as killed. */
  kill(id: number, signal: NodeJS.Signals, group: boolean): boolean {
    const child = this.children.get(id)
    if (!child) return false
    return group ? killGroup(child, signal) : child.kill(signal)
  }
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): boolean {
  try {
    return child.pid !== undefined && process.kill(-child.pid, signal)
  } catch {
    return false // ESRCH: the group has ended by itself
  }
}

function commandLine(command: string | readonly string[]): [string, ...string[]] {
  if (typeof command === 'string') return ['/bin/sh', '-c', command]
  const [file, ...args] = command
  if (file === undefined) throw new Error('the command is empty')
  return [file, ...args]
}

function label({ host, command }: { host: string; command: string | readonly string[] }): string {
  return `${host}: ${typeof command === 'string' ? command : command.join(' ')}`
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === 'SIGKILL' ? 9 : signal === 'SIGTERM' ? 15 : 1
}
