import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readBlocks, type Block } from './event-stream.ts'

const TEXT =
  'retry: 2000\nid: 4\n\n: nothing new\n\nid: 5\nevent: host.held\ndata: {"a":"ü: x"}\n\ndata: one\ndata: two\n\nid: 6\ndata: cut off'

test('blocks are the same however the bytes are cut, and half a block is none', async () => {
  const bytes = new TextEncoder().encode(TEXT)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 8 }), async (cuts) => {
      const ends = [...cuts, bytes.length].toSorted((a, b) => a - b)
      const chunks = ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end))
      const blocks: Block[] = []
      for await (const block of readBlocks(ReadableStream.from(chunks))) blocks.push(block)
      assert.deepEqual(blocks, [
        { id: '4' },
        {},
        { id: '5', event: 'host.held', data: '{"a":"ü: x"}' },
        { data: 'one\ntwo' },
      ])
    }),
  )
})

test('what never ends is no event', async () => {
  const endless = ReadableStream.from(
    (function* () {
      for (;;) yield new TextEncoder().encode('x'.repeat(100_000))
    })(),
  )
  await assert.rejects(async () => {
    for await (const block of readBlocks(endless)) assert.fail(JSON.stringify(block))
  }, /sends no events/)
})
