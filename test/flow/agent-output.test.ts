/** The agent's process when nobody reads what it writes any more: it ends as it would have, and for no other reason. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const AGENT = `${process.execPath} ${fileURLToPath(new URL('../../services/agent/src/main.ts', import.meta.url))}`

describe('an agent whose reader is gone', () => {
  const ROWS: readonly (readonly [what: string, line: string, code: number])[] = [
    ['prints its help to nobody', `${AGENT} --help | true`, 0],
    ['says to nobody what is wrong with its options', `${AGENT} --foo 2>&1 >/dev/null | true`, 2],
  ]
  for (const [what, line, code] of ROWS) {
    test(what, async () => {
      const shown = await promisify(execFile)('bash', ['-c', `set -o pipefail; ${line}`]).then(
        ({ stderr }) => ({ code: 0, stderr }),
        ({ code: failed, stderr }) => ({ code: failed, stderr }),
      )
      assert.deepEqual(shown, { code, stderr: '' })
    })
  }
})
