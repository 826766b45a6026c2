/** What the agent loads before its kernel has the last good state, and what after it: read off the bundle that ships. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { besideAgent, buildAgent } from '../../scripts/build.ts'

/** Of no use to a kernel that waits for its state. */
const AFTERWARDS =
  /agent\/src\/(doctor|metrics|path-mtu|aws\/aws-bundle|health\/probes|kernel\/(probe|path|ping|inspect)|control-plane\/(client|http|enrol|reporter|poll-loop)|loop\.ts|cli\/(?!run-command|session))|agent-api\.ts/

describe('the bundle of the agent', () => {
  let folder = ''
  let entry = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lvsfleet-parts-test-'))
    entry = await buildAgent(folder)
  })
  after(() => rm(folder, { recursive: true, force: true }))

  const sourcesOf = async (file: string): Promise<readonly string[]> => {
    const map: unknown = JSON.parse(await readFile(`${file}.map`, 'utf8'))
    assert.ok(
      typeof map === 'object' && map !== null && 'sources' in map && Array.isArray(map.sources),
    )
    return map.sources.map(String)
  }

  test('starts with what programs the kernel, and nothing that comes after', async () => {
    const { chunk, later } = besideAgent(entry)
    const first = [...(await sourcesOf(entry)), ...(await sourcesOf(chunk))]
    for (const part of ['cli/run-command.ts', 'kernel/ipvs/ipvs-kernel.ts', 'state/verify.ts'])
      assert.ok(
        first.some((file) => file.endsWith(part)),
        part,
      )
    assert.deepEqual(
      first.filter((file) => AFTERWARDS.test(file)),
      [],
    )
    const rest = (await sourcesOf(later)).filter((file) => AFTERWARDS.test(file))
    assert.ok(rest.length > 50, `${rest.length} files`)
  })

  test('asks for its later part, and for machine code, by names that lie beside it', async () => {
    const text = await readFile(entry, 'utf8')
    assert.match(text, /import\("\.\/lvsfleet-agent-later\.mjs"\)/)
    assert.doesNotMatch(text, /node-gyp-build/)
  })
})
