import assert from 'node:assert/strict'
import { test } from 'node:test'
import { integerWeights } from './integer-weights.ts'

const weigh = (...weights: readonly number[]) =>
  integerWeights(weights.map((weight) => ({ weight, level: 0 })))

test('whole weights stay as they are', () => {
  assert.deepEqual(weigh(1, 3, 65_535), [1, 3, 65_535])
  assert.deepEqual(weigh(), [])
})

test('others become the least numbers that keep shares true, so that no burst is longer than it must be', () => {
  assert.deepEqual(weigh(1, 0.5), [2, 1])
  assert.deepEqual(weigh(1, 1, 3 / 14, 3 / 14), [14, 14, 3, 3])
  assert.deepEqual(weigh(100, 100, 42.857), [7, 7, 3])
  assert.deepEqual(weigh(100, 21.428, 21.428), [14, 3, 3])
})

test('what is tiny or huge stays between 1 and what schedulers can multiply', () => {
  assert.deepEqual(weigh(60_000, 0.001), [60_000, 1])
  assert.deepEqual(weigh(655_350, 65_535), [65_535, 6_554])
})

test('where even the largest is a part of 1, as at the start of a ramp, levels have their shares all the same', () => {
  const own = [131, 1, 0.1]
  const others = own.map((weight) => ({ weight: (weight / 132.1) * 0.1 * (3 / 7), level: 1 }))
  const weights = integerWeights([{ weight: 0.1, level: 0 }, ...others])
  const sum = weights.reduce((total, weight) => total + weight, 0)
  assert.ok(Math.abs((weights[0] ?? 0) / sum - 0.7) < 0.005, weights.join(' '))
})

test('many small errors of one level are no small error', () => {
  const many = Array.from({ length: 100 }, () => ({ weight: 0.6, level: 1 }))
  const weights = integerWeights([{ weight: 1_000, level: 0 }, ...many])
  const sum = weights.reduce((total, weight) => total + weight, 0)
  const share = (weights[0] ?? 0) / sum
  assert.ok(Math.abs(share - 1_000 / 1_060) < 0.005, `${share}`)
})
