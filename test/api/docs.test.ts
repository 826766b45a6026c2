/**
 * What the documents show is what the product prints: every `console` block below docs/ is run against a real API,
 * in order, and compared. `UPDATE_DOCS=1 node --test test/api/docs.test.ts` writes what is printed now.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { startTestApi } from './harness.ts'
import { root, runCli } from './run-cli.ts'

const BLOCK = /```console\n\$ npx lvsfleet (.*)\n([\s\S]*?)```/g
const PAGES: readonly { page: string; blocks: number }[] = [
  { page: 'docs/explain.md', blocks: 8 },
  { page: 'docs/health-checks.md', blocks: 3 },
  { page: 'docs/drain.md', blocks: 3 },
]

describe('documents show what is printed', () => {
  for (const { page, blocks } of PAGES) {
    it(page, async () => {
      const text = readFileSync(`${root}${page}`, 'utf8')
      const fresh = await printedAnew(text)
      if (process.env['UPDATE_DOCS'] === '1') writeFileSync(`${root}${page}`, fresh)
      else assert.equal(text, fresh, `${page} is stale: run this test with UPDATE_DOCS=1`)
      assert.equal([...fresh.matchAll(BLOCK)].length, blocks)
    })
  }
})

/** The page with each block as the CLI prints it now. */
async function printedAnew(text: string): Promise<string> {
  const api = await startTestApi()
  try {
    const env = { LVSFLEET_API: api.url, LVSFLEET_KEY: api.adminKey }
    let fresh = text
    for (const [block, command] of text.matchAll(BLOCK)) {
      const [words = '', pattern = ''] = (command ?? '').split(' | grep ')
      const { stdout, stderr } = await runCli(words.split(' '), '', env)
      const printed = `${stdout}${stderr}`.split(/^/m).filter((line) => line.includes(pattern))
      fresh = fresh.replace(
        block,
        () => `\`\`\`console\n$ npx lvsfleet ${command}\n${printed.join('')}\`\`\``,
      )
    }
    return fresh
  } finally {
    await api.close()
  }
}
