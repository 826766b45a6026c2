import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { nextProbeMs, type Timing } from './schedule.ts'

const timing = fc.record({
  key: fc.string({ minLength: 1, maxLength: 16 }),
  intervalMs: fc.integer({ min: 100, max: 3_600_000 }),
  downIntervalMs: fc.integer({ min: 100, max: 3_600_000 }),
  jitterPercent: fc.integer({ min: 0, max: 50 }),
})
const seed = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const now = fc.integer({ min: 0, max: 1e12 })

describe('the schedule', () => {
  it('asks after now, within two intervals, and equal input gives equal times', () => {
    fc.assert(
      fc.property(timing, fc.boolean(), now, seed, (check, isDown, nowMs, salt) => {
        const moment = { isDown, lastMs: null, nowMs, seed: salt }
        const at = nextProbeMs(check, moment)
        const interval = isDown ? check.downIntervalMs : check.intervalMs
        assert.ok(at > nowMs && at <= nowMs + 2 * interval + 1)
        assert.equal(nextProbeMs(check, moment), at)
      }),
    )
  })

  it('keeps half an interval between probes, also when the interval changes, and never drifts', () => {
    fc.assert(
      fc.property(timing, now, seed, fc.array(fc.boolean()), (check, startMs, salt, downs) => {
        let lastMs: number | null = null
        let nowMs = startMs
        for (const isDown of downs) {
          const at = nextProbeMs(check, { isDown, lastMs, nowMs, seed: salt })
          const interval = isDown ? check.downIntervalMs : check.intervalMs
          if (lastMs !== null) assert.ok(at - lastMs >= interval / 2)
          lastMs = at
          nowMs = at
        }
      }),
    )
    const check: Timing = { key: 'a', intervalMs: 1_000, downIntervalMs: 1_000, jitterPercent: 10 }
    let at = 0
    for (let i = 0; i < 1_000; i++) {
      at = nextProbeMs(check, { isDown: false, lastMs: at, nowMs: at, seed: 1 })
    }
    assert.ok(Math.abs(at - 1_000_000) < 1_200, `${at} ms after a thousand seconds`)
  })

  it('loses no turn to a probe that waited for its whole timeout', () => {
    const calm = timing.map((check) => ({ ...check, jitterPercent: check.jitterPercent / 2 - 0.1 }))
    const waits = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 5 })
    fc.assert(
      fc.property(calm, now, seed, waits, (check, startMs, salt, parts) => {
        const { intervalMs } = check
        let lastMs = nextProbeMs(check, { isDown: false, lastMs: null, nowMs: startMs, seed: salt })
        const mostMs = intervalMs * (1 + (2 * Math.abs(check.jitterPercent)) / 100) + 1
        for (const part of parts) {
          const nowMs = lastMs + part * intervalMs
          const at = nextProbeMs(check, { isDown: false, lastMs, nowMs, seed: salt })
          assert.ok(at >= nowMs && at - lastMs <= mostMs, `${at - lastMs} of ${mostMs} ms`)
          lastMs = at
        }
      }),
    )
  })

  it('spreads a thousand checks over their interval: no burst, from the start on', () => {
    for (const salt of [1, 2, 3]) {
      const slots = Array.from({ length: 50 }, () => 0)
      for (let i = 0; i < 1_000; i++) {
        const check = {
          key: `${i}`,
          intervalMs: 5_000,
          downIntervalMs: 5_000,
          jitterPercent: 0,
        }
        const at = nextProbeMs(check, { isDown: false, lastMs: null, nowMs: 1e6, seed: salt })
        const slot = Math.floor((at - 1e6) / 100)
        slots[slot] = (slots[slot] ?? 0) + 1
      }
      // 20 expected in each 100 ms; Poisson leaves 45 at one in a million.
      assert.ok(Math.max(...slots) < 45, `${Math.max(...slots)} within 100 ms`)
      assert.ok(Math.min(...slots) > 2)
    }
  })

  it('lets two directors ask at different times', () => {
    const check = { key: 'x', intervalMs: 5_000, downIntervalMs: 5_000, jitterPercent: 10 }
    const at = (salt: number) =>
      nextProbeMs(check, { isDown: false, lastMs: null, nowMs: 0, seed: salt })
    assert.notEqual(at(1), at(2))
  })
})
