import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { unknownCapabilities } from '@lvs-fleet/contract'
import { awaitProbeAnswer } from './probe-answer.ts'

const found = { ...unknownCapabilities('6.1.0'), ipvs: 'yes' } as const
const never = new AbortController().signal

async function withFile(work: (file: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'lvsfleet-probe-'))
  try {
    await work(join(folder, 'probe.json'))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

test('waits for the file, and while it is written', () =>
  withFile(async (file) => {
    const text = `${JSON.stringify(found)}\n`
    const steps = ['', text.slice(0, 40), text]
    const clock = { sleep: async () => writeFile(file, steps.shift() ?? text) }
    assert.deepEqual(await awaitProbeAnswer(file, clock, never), found)
    assert.deepEqual(steps, [])
  }))

test('gives up after a while, at once when stopped, and is not asked where no file is named', () =>
  withFile(async (file) => {
    let looks = 0
    const clock = { sleep: async () => void looks++ }
    assert.equal(await awaitProbeAnswer(file, clock, never), undefined)
    assert.ok(looks > 60 && looks < 1_000, `${looks} seconds`)
    looks = 0
    assert.equal(await awaitProbeAnswer(file, clock, AbortSignal.abort()), undefined)
    assert.equal(await awaitProbeAnswer(undefined, clock, never), undefined)
    assert.equal(looks, 0)
  }))
