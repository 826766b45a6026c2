/** The API as a process of its own, as an operator starts it: for tests that kill it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeCall, type TestApi } from './harness.ts'

const MAIN = fileURLToPath(new URL('../../services/api/src/main.ts', import.meta.url))
const START_TIMEOUT_MS = 60_000

export type ApiProcess = {
  readonly url: string
  readonly stdout: () => string
  readonly stderr: () => string
  readonly call: TestApi['call']
  /** Ends it with a signal and waits until it is gone; gives its exit code. */
  readonly end: (signal: NodeJS.Signals) => Promise<number | null>
}

export type Ended = {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Resolves when it listens; rejects with what it said when it ends before. */
export async function startApiProcess(
  dataDir: string,
  env: Record<string, string> = {},
): Promise<ApiProcess> {
  const { child, output, ended } = launch(dataDir, env)
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`no start: ${output.stderr}`)),
      START_TIMEOUT_MS,
    )
    const look = () => {
      const found = /listens on (\S+)/.exec(output.stdout)?.[1]
      if (found === undefined) return
      clearTimeout(timer)
      resolve(found)
    }
    child.stdout?.on('data', look)
    void ended.then(({ stderr }) => {
      clearTimeout(timer)
      reject(new Error(stderr))
    })
  })
  const key = (await readFile(join(dataDir, 'admin.key'), 'utf8')).trim()
  return {
    url,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    call: makeCall(url, key),
    end: async (signal) => {
      child.kill(signal)
      return (await ended).code
    },
  }
}

/** Starts it, expecting that it refuses. */
export async function runApiProcess(
  dataDir: string,
  env: Record<string, string> = {},
  words: readonly string[] = [],
): Promise<Ended> {
  const { child, ended } = launch(dataDir, env, words)
  const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS)
  const result = await ended
  clearTimeout(timer)
  return result
}

function launch(
  dataDir: string,
  env: Record<string, string>,
  words: readonly string[] = [],
): { child: ChildProcess; output: { stdout: string; stderr: string }; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [MAIN, ...words], {
    env: {
      PATH: process.env['PATH'] ?? '',
      LVSFLEET_DATA: dataDir,
      LVSFLEET_LISTEN: '127.0.0.1:0',
      LVSFLEET_METRICS: 'off',
      LVSFLEET_LOG: 'warn',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
  const ended = new Promise<Ended>((resolve) =>
    child.once('close', (code) => resolve({ code, ...output })),
  )
  return { child, output, ended }
}
