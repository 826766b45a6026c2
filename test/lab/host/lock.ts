// One lab at a time: two guests on a small machine make each other several times slower, and time
// limits fail for no reason. The lock is flock(2), held by a child that ends with its standard input,
// so it is free again however the holder died.
import { type ChildProcess, spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'

const WAIT_SECONDS = 600
const TELL_AFTER_MS = 1000

export type Lock = { release(): Promise<void> }

export async function lockLab(labDir: string, log: (text: string) => void): Promise<Lock> {
  fs.mkdirSync(labDir, { recursive: true })
  const file = join(labDir, 'lock')
  const command = [
    '--exclusive',
    '--timeout',
    `${WAIT_SECONDS}`,
    file,
    'sh',
    '-c',
    'echo held; cat',
  ]
  const child = spawn('flock', command, { stdio: ['pipe', 'pipe', 'inherit'] })
  const notice = setTimeout(() => {
    log(`another lab is running (${holder(labDir)}); waiting up to ${WAIT_SECONDS / 60} minutes`)
  }, TELL_AFTER_MS)
  try {
    await held(child)
  } finally {
    clearTimeout(notice)
  }
  fs.writeFileSync(join(labDir, 'lock.holder'), `pid ${process.pid}: ${process.argv.join(' ')}`)
  return { release: () => release(child) }
}

function held(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', () => resolve())
    child.once('error', (error) => reject(new Error(`cannot run flock: ${error.message}`)))
    child.once('exit', (code) => {
      reject(new Error(`no lab became free within ${WAIT_SECONDS} s (flock ended with ${code})`))
    })
  })
}

function release(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    if (child.exitCode !== null) resolve()
    child.stdin?.end()
  })
}

function holder(labDir: string): string {
  const file = join(labDir, 'lock.holder')
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : 'holder unknown'
}
