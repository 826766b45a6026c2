// What the parts of the lab's setup share: to say, to fail with one line, to run a program to its end.
import { spawnSync } from 'node:child_process'

const TIMEOUT_MS = 600_000

export function say(text) {
  console.error(`setup-lab: ${text}`)
}

export function fail(text) {
  say(text)
  process.exit(1)
}

/** stdout, as bytes where `encoding` is 'buffer'; a program that fails ends the setup. */
export function run(command, args, { cwd, input, encoding = 'utf8' } = {}) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const options = { cwd, env, input, encoding, timeout: TIMEOUT_MS, maxBuffer: 1 << 29 }
  const result = spawnSync(command, args, options)
  if (result.status === 0) return result.stdout
  const reason = result.error?.message ?? `exit status ${result.status}`
  return fail(
    `${command} ${args.join(' ')}: ${reason}\n${result.stdout ?? ''}${result.stderr ?? ''}`,
  )
}
