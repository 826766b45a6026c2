import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StatusReport } from '@lvs-fleet/contract'
import { createFakeClock } from '../../../../test/fakes/fake-clock.ts'
import { createFakeDisk, type FakeDisk } from '../../../../test/fakes/fake-disk.ts'
import { createFakeHost } from '../../../../test/fakes/fake-host.ts'
import { loadCounters } from './counters.ts'
import { createReporter } from './reporter.ts'

async function life(disk: FakeDisk, reports: number, driftCount = 0): Promise<number[]> {
  const sent: StatusReport[] = []
  const { agent } = await createFakeHost()
  const reporter = createReporter({
    disk,
    clock: createFakeClock(),
    log: () => undefined,
    controlPlane: {
      report: async (report) => {
        sent.push(report)
        return { is: 'taken' }
      },
    },
    counters: await loadCounters(disk),
  })
  for (let i = 0; i < reports; i++) {
    const held = `change ${i}`
    assert.equal(await reporter.send({ ...agent.snapshot(), held, driftCount }), 'delivered')
  }
  return sent.map(({ seq }) => seq)
}

test('reports of a later life have higher numbers, although few numbers are written', async () => {
  const disk = createFakeDisk()
  const numbers: number[] = []
  for (const reports of [1, 3, 250, 1]) numbers.push(...(await life(disk, reports)))
  assert.deepEqual(
    numbers,
    numbers.toSorted((a, b) => a - b),
  )
  assert.equal(new Set(numbers).size, 255)
  const before = disk.effectCount
  await life(disk, 90)
  // Written, renamed, its directory synced: once.
  assert.equal(disk.effectCount - before, 3)
})

test('an unchanged report is sent again every five minutes, and every minute while something is down', async () => {
  for (const [down, minutes] of [
    [0, 5],
    [1, 1],
  ] as const) {
    const clock = createFakeClock()
    const sent: number[] = []
    const { agent } = await createFakeHost()
    const reporter = createReporter({
      disk: createFakeDisk(),
      clock,
      log: () => undefined,
      controlPlane: {
        report: async () => {
          sent.push(clock.monotonicMs())
          return { is: 'taken' }
        },
      },
      counters: { seq: 0, driftCount: 0 },
    })
    const health = { counts: { up: 1, down, held: 0, unknown: 0 }, checks: [], events: [] }
    for (let second = 0; second <= 600; second++) {
      await reporter.send({ ...agent.snapshot(), health })
      clock.advance(1_000)
    }
    assert.equal(sent.length, 1 + 10 / minutes)
  }
})

test('a report on its way counts as sent until it is known to be lost', async () => {
  const { agent } = await createFakeHost()
  const sent: number[] = []
  const reporter = createReporter({
    disk: createFakeDisk(),
    clock: createFakeClock(),
    log: () => undefined,
    controlPlane: {
      report: async ({ seq }) => {
        sent.push(seq)
        return { is: 'taken' }
      },
    },
    counters: { seq: 0, driftCount: 0 },
  })
  const one = agent.snapshot()
  const two = { ...one, held: 'incident' }
  const first = await reporter.take(one)
  assert.equal(first?.report.seq, 1)
  assert.equal(await reporter.take(one), undefined)
  assert.equal(await reporter.send(one), 'nothing new')
  first.settle(false)
  const second = await reporter.take(one)
  assert.equal(second?.report.seq, 2)
  assert.equal(await reporter.send(two), 'delivered')
  // Late, and no news any more.
  second.settle(false)
  assert.equal(await reporter.send(two), 'nothing new')
  assert.deepEqual(sent, [3])
})

test('repairs counted in one life are known to the next', async () => {
  const disk = createFakeDisk()
  await life(disk, 2, 7)
  assert.equal((await loadCounters(disk)).driftCount, 7)
})

test('a full disk fails the report and costs no number twice', async () => {
  const disk = createFakeDisk()
  disk.beforeEffect = () => {
    throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
  }
  await assert.rejects(life(disk, 1), { code: 'ENOSPC' })
  disk.beforeEffect = undefined
  const numbers = [...(await life(disk, 2)), ...(await life(disk, 2))]
  assert.equal(new Set(numbers).size, 4)
})
