/**
 * The traffic matrix of docs/forwarding-matrix.md, measured again: every pair of method and families, every
 * scheduler, and everything that is refused. Half the cells, so that it ends in time: TCP where the families are
 * equal, UDP where they differ; `npm run lab -- matrix` measures all.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, describe, it } from 'node:test'
import { startLab } from '../lab.ts'
import { canWork, CELLS, FORMS, GROUPS } from './cells.ts'
import { MATRIX_DOCUMENT } from './document.ts'
import { formatMarkdown } from './format.ts'
import type { Matrix } from './result.ts'
import { runMatrix } from './run.ts'
import { matrixTopology } from './topology.ts'

/** Each pair of families once with traffic; what cannot work costs nothing. */
const MEASURED = CELLS.filter(
  (cell) =>
    !canWork(cell) || cell.protocol === (cell.vipFamily === cell.serverFamily ? 'tcp' : 'udp'),
)

describe('the traffic matrix', { timeout: 400_000 }, () => {
  let matrix: Matrix

  before(async () => {
    await using lab = await startLab({ topology: matrixTopology })
    matrix = await runMatrix(lab, () => {}, MEASURED)
  })

  for (const form of FORMS) {
    it(`${form}: every pair of families works, or is refused by compiler and kernel`, () => {
      const rows = matrix.cells.filter(({ cell }) => cell.form === form)
      const pairs = new Set(rows.map(({ cell }) => `${cell.vipFamily} ${cell.serverFamily}`))
      assert.equal(pairs.size, 4)
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

  it('is what the docs say, which have a row for every cell', () => {
    const document = readFileSync(MATRIX_DOCUMENT, 'utf8').split('\n')
    const unsaid = formatMarkdown(matrix)
      .split('\n')
      .filter((line) => line.startsWith('|') && !document.includes(line))
    assert.deepEqual(unsaid, [], 'run: npm run lab -- matrix --markdown')
    const rows = document.filter((line) => /^\| [^|]+ \| v[46] \| v[46] \|/.test(line))
    assert.equal(rows.length, CELLS.length)
  })
})

function faultyOf(rows: readonly { readonly faults: readonly string[] }[]) {
  return rows.filter(({ faults }) => faults.length > 0)
}
