import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { AgentError } from '../ports.ts'
import { takeLock } from './lock.ts'

async function withDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'lvsfleet-lock-'))
  try {
    await work(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

test('is held by one at a time, and free after release', () =>
  withDirectory(async (directory) => {
    const release = takeLock(directory)
    assert.throws(() => takeLock(directory), AgentError)
    release()
    takeLock(directory)()
  }))

test('of a dead process, of a reused process id, or torn, is taken over', () =>
  withDirectory(async (directory) => {
    for (const left of ['4194999 1@x\n', `${process.pid} 1@x\n`, '', 'garbage']) {
      await writeFile(join(directory, 'lock'), left)
      const release = takeLock(directory)
      assert.match(await readFile(join(directory, 'lock'), 'utf8'), new RegExp(`^${process.pid} `))
      release()
    }
  }))

const TAKER = `
  const { takeLock } = await import(process.argv[1])
  let said = 'won'
  try { takeLock(process.argv[2]) } catch (error) { said = error.name }
  console.log(said)
  process.stdin.resume()
`

test('is won by exactly one of many processes at once', () =>
  withDirectory(async (directory) => {
    await writeFile(join(directory, 'lock'), '4194999 1@x\n')
    const words = ['--input-type=module', '-e', TAKER, import.meta.resolve('./lock.ts'), directory]
    // Each stays until all have tried: a lock of a dead process is free again.
    const takers = Array.from({ length: 8 }, () =>
      spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] }),
    )
    const said = await Promise.all(
      takers.map(async ({ stdout }) => String((await once(stdout, 'data'))[0]).trim()),
    )
    for (const { stdin } of takers) stdin.end()
    await Promise.all(takers.map((taker) => once(taker, 'exit')))
    assert.deepEqual(said.sort(), [...Array<string>(7).fill('AgentError'), 'won'])
  }))
