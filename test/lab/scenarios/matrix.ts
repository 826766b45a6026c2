// The traffic matrix: every method, tunnel, family, protocol and scheduler with packets, and what is refused with
// the reason. The table goes to stdout, progress to stderr; `--markdown` writes docs/forwarding-matrix.md.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { formatMarkdown, formatText } from '../matrix/format.ts'
import { MATRIX_DOCUMENT } from '../matrix/document.ts'
import { faultsOf } from '../matrix/result.ts'
import { runMatrix } from '../matrix/run.ts'
import { matrixTopology } from '../matrix/topology.ts'
import type { Scenario } from './scenario.ts'

export const matrix: Scenario = {
  name: 'matrix',
  summary:
    'every forwarding method, family, protocol and scheduler with traffic, and what is refused',
  topology: matrixTopology,
  async run(lab, print, { markdown }) {
    const begin = performance.now()
    const seconds = () => Math.round((performance.now() - begin) / 1000)
    const measured = await runMatrix(lab, (text) => console.error(`${seconds()} s: ${text}`))
    const faults = faultsOf(measured)
    if (markdown && faults.length === 0) {
      mkdirSync(dirname(MATRIX_DOCUMENT), { recursive: true })
      writeFileSync(MATRIX_DOCUMENT, formatMarkdown(measured))
      print(`written: ${MATRIX_DOCUMENT}`)
    } else {
      print(formatText(measured))
    }
    if (faults.length > 0) throw new Error(`not as expected:\n${faults.join('\n')}`)
  },
}
