import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runProgram } from './run-program.ts'

test('gives what was printed, apart, and the exit status', async () => {
  const ended = await runProgram(['sh', '-c', 'cat; echo no >&2; exit 3'], { input: 'yes' })
  assert.deepEqual(ended, { is: 'ended', code: 3, stdout: 'yes', stderr: 'no\n' })
})

test('has the folders of administrators and plain English, and nothing else of ours', async () => {
  const ended = await runProgram(['env'])
  assert.ok(ended.is === 'ended')
  assert.match(ended.stdout, /^PATH=.*\/usr\/sbin/m)
  assert.deepEqual(
    ended.stdout
      .trim()
      .split('\n')
      .map((line) => line.split('=')[0])
      .toSorted((a = '', b = '') => a.localeCompare(b)),
    ['LANG', 'PATH'],
  )
})

test('what is not installed, does not end, prints too much or is stopped says so', async () => {
  const stop = new AbortController()
  const failures = await Promise.all([
    runProgram(['lvsfleet-no-such-program']),
    runProgram(['sleep', '60'], { timeoutMs: 50 }),
    runProgram(['cat', '/dev/zero'], { outputBytesMax: 1_000 }),
    runProgram(['sleep', '60'], { signal: AbortSignal.abort() }),
    runProgram(['sleep', '60'], { signal: stop.signal }),
    runProgram(['/']),
    Promise.resolve().then(() => stop.abort()),
  ])
  assert.deepEqual(
    failures.map((ended) => (ended?.is === 'failed' ? ended.why : ended)),
    ['missing', 'late', 'too-much', 'stopped', 'stopped', 'not-started', undefined],
  )
})

test('one that reads nothing of much input is no error', async () => {
  const ended = await runProgram(['true'], { input: 'x'.repeat(1_000_000) })
  assert.deepEqual(ended, { is: 'ended', code: 0, stdout: '', stderr: '' })
})
