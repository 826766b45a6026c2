import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMemoryRelease } from './release-memory.ts'

const MB = 1024 * 1024

function fakeHeap(liveMb: number) {
  const heap = { usedMb: 0, liveMb, collections: [] as string[] }
  const release = createMemoryRelease({
    usedBytes: () => heap.usedMb * MB,
    collect: (hard) => {
      heap.collections.push(hard ? 'hard' : 'soft')
      heap.usedMb = heap.liveMb
    },
  })
  return { heap, release }
}

test('the first time it collects whatever a start left behind', () => {
  const { heap, release } = fakeHeap(12)
  heap.usedMb = 20
  release()
  assert.deepEqual(heap.collections, ['soft'])
})

test('a first state of thousands is given back to the system', () => {
  const { heap, release } = fakeHeap(25)
  heap.usedMb = 60
  release({ ops: 110_000 })
  heap.usedMb = 26
  release({ ops: 2 })
  assert.deepEqual(heap.collections, ['hard'])
})

test('rounds that leave little behind are collected together', () => {
  const { heap, release } = fakeHeap(10)
  heap.usedMb = 12
  release()
  for (let round = 0; round < 12; round++) {
    heap.usedMb += 2
    release()
  }
  assert.deepEqual(heap.collections, ['soft', 'soft', 'soft', 'soft'])
})

test('a large table may leave half of its size behind', () => {
  const { heap, release } = fakeHeap(30)
  heap.usedMb = 40
  release()
  heap.usedMb = 44
  release()
  assert.equal(heap.collections.length, 1)
  heap.usedMb = 45
  release()
  assert.equal(heap.collections.length, 2)
})
