import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { judgeSkew, VERSION } from './version.ts'

test('is the version of every package of the repository', () => {
  for (const path of ['.', 'contract', 'services/api', 'services/agent', 'clients/cli']) {
    const text = readFileSync(new URL(`../../${path}/package.json`, import.meta.url), 'utf8')
    assert.equal(JSON.parse(text).version, VERSION, path)
  }
})

const ROWS: readonly [agent: string, api: string, want: RegExp | true][] = [
  ['1.4.0', '1.4.9', true],
  ['1.3.7', '1.4.0', true],
  ['1.5.0', '1.4.0', true],
  ['1.5.0-rc.1', '1.4.0', true],
  ['0.1.0', '0.2.0', true],
  ['1.2.9', '1.4.0', /agent 1\.2\.9 is too old for API 1\.4\.0: upgrade the agent/],
  ['1.6.0', '1.4.0', /agent 1\.6\.0 is too new for API 1\.4\.0: upgrade the API/],
  ['1.9.0', '2.0.0', /too old/],
  ['2.0.0', '1.9.0', /too new/],
  ['two', '1.0.0', /"two" is no version/],
  ['1.0', '1.0.0', /"1\.0" is no version/],
]
for (const [agent, api, want] of ROWS) {
  test(`agent ${agent} and API ${api}: ${want === true ? 'work together' : 'are told apart'}`, () => {
    const skew = judgeSkew(agent, api)
    assert.equal(skew.supported, want === true)
    if (!skew.supported && want !== true) assert.match(skew.reason, want)
  })
}
