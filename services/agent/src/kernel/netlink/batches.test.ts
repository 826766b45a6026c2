import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BATCH_BYTES_MAX, MESSAGE_BYTES_MAX, packBatches, stampBatch } from './batches.ts'
import { eachMessage, type NetlinkMessage } from './message.ts'

function pack(sizes: readonly number[]) {
  let sequence = 1
  return [
    ...packBatches(sizes.length, (writer, index) => {
      writer.begin(index, 1)
      writer.raw(Buffer.alloc(sizes[index] ?? 0, index))
      writer.end()
    }),
  ].map((batch) => {
    stampBatch(batch, sequence)
    sequence += batch.count
    const messages: NetlinkMessage[] = []
    eachMessage(batch.bytes, (message) => messages.push(message))
    return { ...batch, messages }
  })
}

test('makes no batch of nothing', () => assert.deepEqual(pack([]), []))

test('keeps every message whole, in order, numbered, and within one sendmsg', () => {
  const size = fc.integer({ min: 0, max: (MESSAGE_BYTES_MAX - 16) / 4 }).map((words) => words * 4)
  fc.assert(
    fc.property(fc.array(size, { maxLength: 400 }), (sizes) => {
      const batches = pack(sizes)
      const all = batches.flatMap(({ messages }) => messages)
      assert.deepEqual(
        all.map(({ type }) => type),
        [...sizes.keys()],
      )
      assert.deepEqual(
        all.map(({ start, end }) => end - start),
        sizes,
      )
      assert.deepEqual(
        all.map(({ sequence }) => sequence),
        sizes.map((_, index) => index + 1),
      )
      for (const { bytes, first, count, messages } of batches) {
        assert(bytes.length <= BATCH_BYTES_MAX)
        assert.equal(messages.length, count)
        assert.equal(messages[0]?.type, first)
        // Only the last one asks for an ack.
        assert.deepEqual(
          messages.map(({ flags }) => flags),
          [...Array(count - 1).fill(1), 5],
        )
      }
    }),
  )
})

test('fills batches before it starts another', () => {
  const batches = pack(Array(1000).fill(124))
  assert.deepEqual(
    batches.map(({ count }) => count),
    [438, 438, 124],
  )
})
