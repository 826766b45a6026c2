import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { mayBeNoRecord, parseTrailLine, trailHeader } from './trail-file.ts'

const RECORD = {
  number: 7,
  at: '2026-11-29T08:00:00.000Z',
  actor: 'api-key/first',
  action: 'pool.put',
  subject: 'pool web',
  revision: 3,
  detail: { message: 'changed' },
  hash: 'a'.repeat(64),
}
const CHECKPOINT = '{"checkpoint":{"jws":"a.b.c"}}'

describe('a line of a trail', () => {
  const LINES: readonly (readonly [what: string, line: string, is: string])[] = [
    ['who signs', trailHeader([]), 'keys'],
    ['a checkpoint', CHECKPOINT, 'checkpoint'],
    ['a checkpoint with an escaped name', CHECKPOINT.replace('"ch', '"\\u0063h'), 'checkpoint'],
    ['a checkpoint that begins like a record', `{"number":1,${CHECKPOINT.slice(1)}`, 'checkpoint'],
    [
      'that, escaped',
      `{"number":1,${CHECKPOINT.slice(1).replace('point', '\\u0070oint')}`,
      'checkpoint',
    ],
    ['who signs, beginning like a record', `{"number":1,${trailHeader([]).slice(1)}`, 'keys'],
  ]
  for (const [what, line, is] of LINES) {
    test(`that may be no record is never passed over: ${what}`, () => {
      assert.equal(parseTrailLine(line, 1).is, is)
      assert.ok(mayBeNoRecord(line))
    })
  }

  test('that is none is told by its number, the first time that the file is read', () => {
    for (const line of ['no JSON', '[]', '{"numbers":1}']) {
      assert.ok(mayBeNoRecord(line))
      assert.throws(() => parseTrailLine(line, 12), /line 12 is n/)
    }
  })

  test('is passed over where it is a record as export writes it', () => {
    const line = JSON.stringify(RECORD)
    assert.equal(parseTrailLine(line, 1).is, 'record')
    assert.ok(!mayBeNoRecord(line))
  })
})
