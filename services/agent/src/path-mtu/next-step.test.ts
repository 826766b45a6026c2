import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { DatagramFate } from '../kernel/path/path-sockets.ts'
import { nextStep, type Trial, type Verdict } from './next-step.ts'

type Answer = (bytes: number, n: number) => DatagramFate

/** Asks until the verdict; more than 60 datagrams for one path would never end. */
function measure(mtu: number, answer: Answer): { verdict: Verdict; sent: number[] } {
  const trials: Trial[] = []
  for (let n = 0; n < 60; n++) {
    const step = nextStep(mtu, trials)
    if (step.is === 'done') return { verdict: step.verdict, sent: trials.map(({ bytes }) => bytes) }
    trials.push({ bytes: step.bytes, fate: answer(step.bytes, n) })
  }
  throw new Error('no verdict')
}

const carrying = (limit: number, otherwise: DatagramFate): Answer => {
  return (bytes) => (bytes <= limit ? 'arrived' : otherwise)
}

describe('nextStep', () => {
  it('is content with one datagram of the computed size', () => {
    assert.deepEqual(
      measure(1480, () => 'arrived'),
      { verdict: { is: 'fits' }, sent: [1480] },
    )
  })

  it('calls no alarm where nothing ever comes back', () => {
    const { verdict, sent } = measure(1480, () => 'silent')
    assert.deepEqual(verdict, { is: 'unknown' })
    assert.deepEqual(sent, [1480, 128, 128, 128])
  })

  it('calls no alarm for what was lost by chance, twice', () => {
    const lossy: Answer = (bytes, n) => (bytes === 1480 && n < 3 ? 'silent' : 'arrived')
    assert.deepEqual(measure(1480, lossy), {
      verdict: { is: 'fits' },
      sent: [1480, 128, 1480, 1480],
    })
  })

  it('calls no alarm where the path changes while it is measured', () => {
    let isNarrow = true
    const changing: Answer = (bytes) => {
      if (bytes === 1480 && isNarrow) return 'too-big'
      if (bytes < 1300 && bytes > 128) isNarrow = false
      return bytes > 1200 && isNarrow ? 'silent' : 'arrived'
    }
    assert.notEqual(measure(1480, changing).verdict.is, 'unknown')
    // Larger ones arrive than one that was refused.
    const trials: Trial[] = [
      { bytes: 1480, fate: 'too-big' },
      { bytes: 128, fate: 'arrived' },
      { bytes: 804, fate: 'too-big' },
      { bytes: 1000, fate: 'arrived' },
    ]
    assert.deepEqual(nextStep(1480, trials), { is: 'done', verdict: { is: 'unknown' } })
  })

  it('takes the word of the path at once', () => {
    assert.deepEqual(measure(1480, carrying(1380, 'too-big')).sent.slice(0, 3), [1480, 128, 804])
  })

  it('finds the largest size that passes, however the path refuses the others', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1280, max: 9000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.constantFrom<DatagramFate>('silent', 'too-big'),
        (mtu, share, otherwise) => {
          const limit = 128 + Math.floor(share * (mtu - 129))
          const { verdict } = measure(mtu, carrying(limit, otherwise))
          assert.deepEqual(verdict, { is: 'narrow', carries: limit })
        },
      ),
    )
  })

  it('always ends, and calls narrow only what a small datagram passed and the computed size never did', () => {
    const fates = fc.constantFrom<DatagramFate>('arrived', 'silent', 'too-big')
    fc.assert(
      fc.property(
        fc.integer({ min: 1280, max: 65_535 }),
        fc.array(fates, { minLength: 60, maxLength: 60 }),
        (mtu, answers) => {
          const seen: Trial[] = []
          const { verdict } = measure(mtu, (bytes, n) => {
            const fate = answers[n] ?? 'silent'
            seen.push({ bytes, fate })
            return fate
          })
          const arrived = (bytes: number) =>
            seen.some((trial) => trial.bytes === bytes && trial.fate === 'arrived')
          if (verdict.is === 'narrow') assert.ok(arrived(verdict.carries) && !arrived(mtu))
          if (verdict.is === 'fits') assert.ok(arrived(mtu))
        },
      ),
    )
  })
})
