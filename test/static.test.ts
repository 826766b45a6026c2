/** What holds for the text of the code: each tool of `npm run check` is one test, with its own words on failure. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

const TOOLS: readonly (readonly [tool: string, ...args: string[]])[] = [
  ['oxfmt', '--check'],
  ['tsc', '-p', 'tsconfig.json'],
  ['tsc', '-p', 'tsconfig.agent.json'],
  ['oxlint', '--type-aware', '--deny-warnings'],
  ['knip'],
]

describe('static checks', () => {
  for (const [tool, ...args] of TOOLS) {
    it([tool, ...args].join(' '), () => {
      const { status, stdout, stderr } = spawnSync(`${root}node_modules/.bin/${tool}`, args, {
        cwd: root,
        encoding: 'utf8',
        timeout: 120_000,
      })
      assert.equal(status, 0, `${stdout}${stderr}`)
    })
  }
})
