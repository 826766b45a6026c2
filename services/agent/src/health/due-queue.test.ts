import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { DueQueue } from './due-queue.ts'

it('gives what is due, earliest first, and nothing else', () => {
  const steps = fc.array(fc.record({ dueMs: fc.nat(100), takeAtMs: fc.option(fc.nat(100)) }))
  fc.assert(
    fc.property(steps, (list) => {
      const queue = new DueQueue<number>()
      let model: number[] = []
      for (const { dueMs, takeAtMs } of list) {
        queue.push(dueMs, dueMs)
        model = [...model, dueMs].toSorted((a, b) => a - b)
        if (takeAtMs === null) continue
        const isDue = (model[0] ?? Infinity) <= takeAtMs
        assert.equal(queue.take(takeAtMs), isDue ? model.shift() : undefined)
        assert.equal(queue.nextMs, model[0])
      }
      const rest = model.map(() => queue.take(Infinity))
      assert.deepEqual(rest, model)
      assert.equal(queue.take(Infinity), undefined)
    }),
  )
})
