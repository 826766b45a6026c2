/**
 * The traffic matrix of docs/forwarding-matrix.md, measured again: every cell of method, families and protocol,
 * every scheduler, and everything that is refused.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, describe, it } from 'node:test'
import { startLab } from '../lab.ts'
import { CELLS, FORMS, GROUPS } from './cells.ts'
import { MATRIX_DOCUMENT } from './document.ts'
import { formatMarkdown } from './format.ts'
import type { Matrix } from './result.ts'
import { runMatrix } from './run.ts'
import { matrixTopology } from './topology.ts'

describe('the traffic matrix', { timeout: 400_000 }, () => {
  let matrix: Matrix

  before(async () => {
    await using lab = await startLab({ topology: matrixTopology })
    matrix = await runMatrix(lab, () => {})
  })

  for (const form of FORMS) {
    it(`${form}: every family pair and protocol works, or is refused by compiler and kernel`, () => {
      const rows = matrix.cells.filter(({ cell }) => cell.form === form)
      assert.equal(rows.length, 12)
      assert.deepEqual(faultyOf(rows), [])
    })
  }

  it('all methods at once, the director among its own real servers', () => {
    assert.equal(matrix.mixed.length, 4)
    assert.deepEqual(faultyOf(matrix.mixed), [])
  })

  it('every scheduler chooses as it promises', () => {
    const schedulers = new Set(matrix.schedulers.map(({ scheduler }) => scheduler))
    assert.deepEqual([...schedulers].toSorted(), Object.values(GROUPS).flat().toSorted())
    assert.deepEqual(faultyOf(matrix.schedulers), [])
  })

  it('what is refused though the kernel takes it does go astray', () => {
    assert.ok(matrix.misroutes.length > 0)
    assert.deepEqual(faultyOf(matrix.misroutes), [])
  })

  it('meets every scheduler group with every method', () => {
    for (const form of FORMS) {
      const own = CELLS.filter((cell) => cell.form === form).flatMap(({ listeners }) => listeners)
      for (const [group, schedulers] of Object.entries(GROUPS)) {
        const met = own.some(({ scheduler }) => schedulers.some((each) => each === scheduler))
        assert.ok(met, `${form} meets no scheduler of ${group}`)
      }
    }
  })

  it('is what the docs say', () => {
    const text = readFileSync(MATRIX_DOCUMENT, 'utf8')
    assert.equal(text, formatMarkdown(matrix), 'run: npm run lab -- matrix --markdown')
  })
})

function faultyOf(rows: readonly { readonly faults: readonly string[] }[]) {
  return rows.filter(({ faults }) => faults.length > 0)
}
