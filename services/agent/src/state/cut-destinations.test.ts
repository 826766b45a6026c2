import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { cutDestinations } from './cut-destinations.ts'

const A = '{"address":"10.2.0.1","port":80}'
const B = '{"address":"10.2.0.2","port":80}'

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

describe('cutDestinations', () => {
  it('puts a string in place of each list', () => {
    const text = `[{"destinations":[${A},${B}],"port":1},{"destinations":[],"port":2},{"destinations":[${B}]}]`
    const cut = cutDestinations(text, 'list ', parsed)
    const rest =
      '[{"destinations":"list 0","port":1},{"destinations":"list 1","port":2},{"destinations":"list 2"}]'
    assert.equal(cut?.rest, rest)
    assert.deepEqual(
      [...(cut?.lists ?? [])],
      [
        ['list 0', [A, B].map(parsed)],
        ['list 1', []],
        ['list 2', [parsed(B)]],
      ],
    )
  })

  const REFUSED: [why: string, text: string][] = [
    ['other spacing', `{"destinations":[ ${A}]}`],
    ['another first field', '{"destinations":[{"port":80,"address":"10.2.0.1"}]}'],
    ['elements that are no objects', '{"destinations":["10.2.0.1"]}'],
    ['a list that does not end', `{"destinations":[${A}`],
    ['an element that holds a list of objects', '{"destinations":[{"address":"x","y":[{"z":1}]}]}'],
    ['an element that is no JSON', '{"destinations":[{"address":"x",}]}'],
  ]
  for (const [why, text] of REFUSED) {
    it(`leaves alone: ${why}`, () =>
      assert.equal(cutDestinations(text, 'list ', parsed), undefined))
  }

  it('makes JSON of nothing that was none', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '1',
      'x',
      A,
      B,
      '"destinations":[',
      '},{',
      '}]',
      '{"address":',
      '"destinations":',
      '"name":"a"',
      '{"name":"b","destinations":[',
      ' ',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('')
        const cut = cutDestinations(text, 'list ', parsed)
        if (cut !== undefined && parsed(cut.rest) !== undefined) {
          assert.notEqual(parsed(text), undefined, text)
        }
      }),
      { numRuns: 20_000 },
    )
  })
})
