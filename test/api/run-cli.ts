/** The CLI as an operator runs it: its own process, with what it printed and how it exited. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))
const CLI = `${root}clients/cli/src/main.ts`

export type CliResult = {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export async function runCli(
  words: readonly string[],
  input: string,
  env: Readonly<Record<string, string>>,
): Promise<CliResult> {
  const child = spawn(process.execPath, [CLI, ...words], {
    cwd: root,
    env: { PATH: process.env['PATH'], NO_COLOR: '1', ...env },
    timeout: 20_000,
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  child.stdin.end(input)
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { code, stdout, stderr }
}
