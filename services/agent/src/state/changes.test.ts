import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatChange, parseChanges } from './changes.ts'

const line = fc.stringMatching(/^[[{e][\x20-\x7e]{0,40}$/)
const record = fc.array(line, { minLength: 1, maxLength: 5 })
const records = fc.array(record, { minLength: 1, maxLength: 5 })

test('what was written is read again, in its order', () => {
  fc.assert(
    fc.property(records, (written) => {
      const read = parseChanges(written.map(formatChange).join(''))
      assert.deepEqual(read, { records: written, isBroken: false, isRotten: false })
    }),
  )
  assert.deepEqual(parseChanges(''), { records: [], isBroken: false, isRotten: false })
})

test('cut anywhere in its last record, a file gives the others, and nobody is alarmed', () => {
  fc.assert(
    fc.property(records, fc.nat(), (written, at) => {
      const whole = written.slice(0, -1).map(formatChange).join('')
      const last = formatChange(written.at(-1) ?? [])
      // At least one byte of it is there, and one is not.
      const cut = last.slice(0, 1 + (at % (last.length - 1)))
      const read = parseChanges(whole + cut)
      assert.deepEqual(read.records, written.slice(0, -1))
      assert.equal(read.isBroken, true)
      if (!cut.endsWith('\n')) assert.equal(read.isRotten, false)
    }),
  )
})

test('with any byte changed, a file gives each other record, and says that it rots', () => {
  fc.assert(
    fc.property(records, fc.nat(), fc.nat(), (written, which, at) => {
      const texts = written.map(formatChange)
      const index = which % texts.length
      const bytes = Buffer.from(texts[index] ?? '')
      // Not the last byte: without its end of line it would look cut off.
      const place = at % (bytes.length - 1)
      bytes[place] = (bytes[place] ?? 0) ^ 1
      const changed = texts.with(index, bytes.toString('latin1')).join('')
      const read = parseChanges(changed)
      assert.deepEqual(read.records, written.toSpliced(index, 1))
      assert.deepEqual([read.isBroken, read.isRotten], [true, true])
    }),
  )
})
