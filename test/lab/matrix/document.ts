/** Where the matrix stands in the docs: written by the scenario, held against the kernel by the test. */
import { fileURLToPath } from 'node:url'

export const MATRIX_DOCUMENT = fileURLToPath(
  new URL('../../../docs/forwarding-matrix.md', import.meta.url),
)
