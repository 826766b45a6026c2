import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runLoop } from '../../services/agent/src/loop.ts'
import { createStatusFile } from '../../services/agent/src/status-file.ts'
import { createFakeHost } from '../fakes/fake-host.ts'

const SECONDS = 10

test('the heap is looked at every second, however seldom rounds are', async () => {
  const host = await createFakeHost()
  await host.start()
  const { agent, kernel, clock, disk } = host
  const stop = new AbortController()
  let looks = 0
  const releaseMemory = () => void looks++
  const status = createStatusFile(disk, clock)
  const deps = { agent, kernel, clock, status, random: () => 0.5, log: () => {}, releaseMemory }
  const ended = runLoop(deps, stop.signal)
  for (let second = 0; second < SECONDS; second++) {
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    clock.advance(1_000)
  }
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(looks, SECONDS)
  stop.abort()
  await ended
})
