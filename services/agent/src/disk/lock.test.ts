import assert from 'node:assert/strict'
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
    const release = await takeLock(directory)
    await assert.rejects(takeLock(directory), AgentError)
    await release()
    await (
      await takeLock(directory)
    )()
  }))

test('of a dead process, of a reused process id, or torn, is taken over', () =>
  withDirectory(async (directory) => {
    for (const left of ['4194999 1@x\n', `${process.pid} 1@x\n`, '', 'garbage']) {
      await writeFile(join(directory, 'lock'), left)
      const release = await takeLock(directory)
      assert.match(await readFile(join(directory, 'lock'), 'utf8'), new RegExp(`^${process.pid} `))
      await release()
    }
  }))

test('is won by exactly one of many at once', () =>
  withDirectory(async (directory) => {
    await writeFile(join(directory, 'lock'), '4194999 1@x\n')
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => takeLock(directory)))
    assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1)
  }))
