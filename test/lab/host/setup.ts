// Makes sure that the machine has what the lab needs before a guest is started. The script does only
// what is missing, so this costs a moment; without root it fails with the one command to run.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { EngineName } from '../engine/engine.ts'

const SETUP_TIMEOUT_MS = 600_000

export function setupLab(repo: string, engine: EngineName): Promise<void> {
  const script = join(repo, 'scripts/setup-lab.mjs')
  const timeout = SETUP_TIMEOUT_MS
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, engine], {
      stdio: ['ignore', 'inherit', 'pipe'],
      timeout,
    })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
      process.stderr.write(text)
    })
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve()
      else reject(new Error(`scripts/setup-lab.mjs failed (${code}):\n${said}`))
    })
  })
}
