/** Runs a file of the API's tests with two instances of the function in the place of the server. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

export async function runOnLambda(name: string): Promise<void> {
  const args = ['--test', '--test-timeout=300000', `test/api/${name}.test.ts`]
  const env: NodeJS.ProcessEnv = { ...process.env, LVSFLEET_TEST_ON: 'lambda' }
  // Else the runner takes the child for a part of this file, and its output for its own protocol.
  delete env['NODE_TEST_CONTEXT']
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  const passed = Number(/^[ℹ#] pass (\d+)$/m.exec(output)?.[1] ?? 0)
  assert.ok(code === 0 && passed > 0, output.slice(-4_000))
}
