// A line-based shell in a host's namespace: each line is a command of its own, run to its end.
// `@HOST` moves to another host, `cd` is remembered, an empty line does nothing, ^D or exit leaves.
import { createInterface } from 'node:readline'
import type { Lab } from './lab.ts'
import { namespaces } from './topology.ts'

const COMMAND_TIMEOUT_MS = 300_000
const CWD_MARK = '\u0001cwd '

export async function labShell(lab: Lab, firstHost: string): Promise<void> {
  const hosts = ['root', ...namespaces(lab.topology)]
  const terminal = createInterface({ input: process.stdin })
  let host = firstHost
  let cwd = '/root'
  const prompt = () => process.stdout.write(`${host}$ `)
  console.log(`hosts: ${hosts.join(' ')}\n@HOST goes to another one, exit or ^D leaves`)
  prompt()
  for await (const line of terminal) {
    const text = line.trim()
    if (text === 'exit') break
    if (text.startsWith('@')) {
      if (hosts.includes(text.slice(1))) host = text.slice(1)
      else console.log(`there is no host ${text.slice(1)}`)
    } else if (text !== '') {
      cwd = await runLine(lab, host, cwd, text)
    }
    prompt()
  }
  terminal.close()
}

/** Prints what the command says; returns the folder it ended in. */
async function runLine(lab: Lab, host: string, cwd: string, line: string): Promise<string> {
  const command = `cd "$LAB_CWD"\n${line}\nrc=$?; printf '${CWD_MARK}%s' "$PWD"; exit $rc`
  try {
    const env = { LAB_CWD: cwd }
    const result = await lab.run(host, command, { env, timeoutMs: COMMAND_TIMEOUT_MS })
    const at = result.stdout.lastIndexOf(CWD_MARK)
    process.stdout.write(at < 0 ? result.stdout : result.stdout.slice(0, at))
    process.stderr.write(result.stderr)
    if (result.code !== 0) console.log(`[exit status ${result.code}]`)
    return at < 0 ? cwd : result.stdout.slice(at + CWD_MARK.length)
  } catch (error) {
    console.log(error instanceof Error ? error.message : String(error))
    return cwd
  }
}
