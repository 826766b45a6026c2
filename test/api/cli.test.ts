/** The CLI as an operator runs it: its own process against a real API, what it prints and how it exits. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { makeAgentClient } from '../fakes/agent-client.ts'
import { startTestApi, type TestApi } from './harness.ts'
import { root, runCli } from './run-cli.ts'

const FLEET = `${root}examples/two-sites.yaml`

describe('lvsfleet', () => {
  let api: TestApi

  before(async () => {
    api = await startTestApi()
  })
  after(async () => api.close())

  const run = (words: readonly string[], input = '') =>
    runCli(words, input, { LVSFLEET_API: api.url, LVSFLEET_KEY: api.adminKey })

  it('plans, applies, and finds nothing left to change', async () => {
    const plan = await run(['plan', '-f', FLEET, '--detailed-exitcode'])
    assert.equal(plan.code, 4)
    assert.match(plan.stdout, /\+ virtual-service web-a/)
    assert.match(
      plan.stdout,
      /\+ destination tcp\/10\.1\.0\.100:80 > 10\.2\.0\.11:80 tun ipip weight 100/,
    )
    assert.match(plan.stdout, /plan: 11 to create, .* nothing was changed/)
    const applied = await run(['apply', '-f', FLEET])
    assert.deepEqual([applied.code, /revision 1: 11 created/.test(applied.stdout)], [0, true])
    const again = await run(['apply', '-f', FLEET, '--detailed-exitcode'])
    assert.deepEqual([again.code, again.stdout], [0, 'nothing changes; revision 1\n'])
  })

  it('takes from standard input what it exported', async () => {
    const exported = await run(['export'])
    const applied = await run(['apply', '-f', '-'], exported.stdout)
    assert.deepEqual([applied.code, applied.stdout], [0, 'nothing changes; revision 1\n'])
  })

  it('drains a site and changes a weight, and shows both', async () => {
    assert.match((await run(['drain', 'site', 'b'])).stdout, /done in revision 2/)
    assert.match((await run(['weight', 'web', 'rs-a1', '300'])).stdout, /done in revision 3/)
    const explained = await run(['explain', 'web-a'])
    assert.match(explained.stdout, /rs-a1 +dr +10\.1\.0\.11 +300/)
    assert.match(explained.stdout, /rs-b1 +tun ipip +10\.2\.0\.11 +0 .*site b drains/)
    const revisions = await run(['revisions'])
    assert.match(revisions.stdout.split('\n')[1] ?? '', /^3 .*updated pool web/)
    assert.match((await run(['export', '--revision', '1'])).stdout, /state: active/)
  })

  it('prints JSON for machines', async () => {
    const hosts: unknown = JSON.parse((await run(['status', '-o', 'json'])).stdout)
    assert.ok(Array.isArray(hosts))
    assert.equal(hosts.length, 6)
  })

  it('renders a host, makes a token, shows and lists objects', async () => {
    assert.match((await run(['render', 'rs-b1'])).stdout, /^#!\/bin\/sh\n/)
    const cloud = await run(['render', 'rs-b1', '--format', 'cloud-init'])
    assert.match(cloud.stdout, /^#cloud-config\n/)
    const token = await run(['join-token', '--role', 'director', '--site', 'a', '--name', 'dir-a'])
    assert.match(token.stdout, /^lvsj_\w+_\S+\n$/)
    assert.match((await run(['get', 'pools'])).stdout, /web +rs-a1:300/)
    assert.match((await run(['get', 'pool', 'web'])).stdout, /weight: 300/)
  })

  it('lets hosts in, holds them off, and replaces the key that signs', async () => {
    assert.match((await run(['enrolments'])).stdout, /nobody waits/)
    assert.match((await run(['enrolment-rules'])).stdout, /there is no rule/)
    const rule = {
      aws: { account: '123456789012', arn: 'arn:aws:sts::123456789012:assumed-role/lvs/*' },
      role: 'director',
      site: 'a',
    }
    const file = join(await mkdtemp(join(tmpdir(), 'lvsfleet-cli-')), 'rule.yaml')
    await writeFile(file, JSON.stringify(rule))
    assert.equal((await run(['enrolment-rules', 'put', 'edge', '-f', file])).code, 0)
    await rm(dirname(file), { recursive: true })
    assert.match((await run(['enrolment-rules'])).stdout, /edge +arn:aws.* +director\/\{instance\}/)
    assert.equal((await run(['enrolment-rules', 'delete', 'edge'])).code, 0)
    const made = ['join-token', '--role', 'real-server', '--site', 'a', '--manual']
    const token = (await run([...made, '--label', 'tier=web'])).stdout.trim()
    const agent = makeAgentClient(api.url)
    const host = { role: 'real-server', name: 'rs-wait', addresses: ['10.1.0.99'] } as const
    assert.equal((await agent.enrol(token, host)).status, 202)
    const shown = (await run(['enrolments'])).stdout
    const id = /^([0-9a-f-]{36}) +waiting +real-server\/rs-wait/m.exec(shown)?.[1] ?? shown
    assert.deepEqual(await run(['approve', id]), { code: 0, stdout: 'done\n', stderr: '' })
    assert.equal((await run(['refuse', id])).code, 1)
    assert.equal((await agent.enrol(token, host)).status, 200)
    assert.match((await run(['release', 'real-server/rs-wait'])).stderr, /not quarantined/)
    assert.equal((await run(['revoke', 'real-server/rs-wait'])).code, 0)
    assert.equal((await run(['revoke', 'real-server/rs-wait'])).code, 1)
    assert.equal((await run(['controller-key', 'retire'])).code, 1)
    assert.match((await run(['controller-key', 'announce'])).stdout, /agents trust 2 key/)
    assert.equal((await run(['delete', 'real-servers', 'rs-wait'])).code, 0)
  })

  const REFUSALS: { name: string; words: string[]; input?: string; code: number; says: RegExp }[] =
    [
      {
        name: 'an unknown field',
        words: ['apply', '-f', '-'],
        input: 'sites: {a: {nets: []}}',
        code: 1,
        says: /\/sites\/a\/nets/,
      },
      {
        name: 'text that is no YAML',
        words: ['apply', '-f', '-'],
        input: 'a: [',
        code: 2,
        says: /is not YAML: .* at line \d+, column \d+$/,
      },
      {
        name: 'a file that is not there',
        words: ['apply', '-f', '/no/such'],
        code: 2,
        says: /cannot read \/no\/such/,
      },
      {
        name: 'an object that is needed',
        words: ['delete', 'site', 'a'],
        code: 1,
        says: /needed by director\/dir-a/,
      },
      {
        name: 'a removal that is too large',
        words: ['delete', 'virtual-service', 'web-a'],
        code: 1,
        says: /would lose too much/,
      },
      {
        name: 'an unknown kind',
        words: ['get', 'things'],
        code: 2,
        says: /there is no kind things/,
      },
      { name: 'an unknown object', words: ['get', 'pool', 'none'], code: 1, says: /none/ },
      {
        name: 'a weight out of range',
        words: ['weight', 'web', 'rs-a1', '70000'],
        code: 2,
        says: /0 to 65535/,
      },
      {
        name: 'an unknown command',
        words: ['aply'],
        code: 2,
        says: /unknown command 'aply' \(did you mean apply\?\): see lvsfleet --help$/,
      },
      {
        name: 'an unknown option',
        words: ['get', 'pools', '--nmae', 'x'],
        code: 2,
        says: /unknown option '--nmae': see lvsfleet get --help$/,
      },
      {
        name: 'an unknown option of a command below another',
        words: ['api-key', 'list', '--nmae'],
        code: 2,
        says: /unknown option '--nmae': see lvsfleet api-key list --help$/,
      },
      {
        name: 'an option without its value',
        words: ['explain', '--vip'],
        code: 2,
        says: /'--vip <address>' argument missing: see lvsfleet explain --help$/,
      },
      {
        name: 'a missing argument',
        words: ['weight', 'web'],
        code: 2,
        says: /missing required argument 'real-server': see lvsfleet weight --help$/,
      },
      {
        name: 'an argument too many',
        words: ['status', 'dir-a'],
        code: 2,
        says: /too many arguments for 'status'.*: see lvsfleet status --help$/,
      },
      {
        name: 'a word that is none of a list',
        words: ['controller-key', 'leap'],
        code: 2,
        says: /announce, switch, retire: see lvsfleet controller-key --help$/,
      },
      {
        name: 'a number that is none',
        words: ['watch', '--count', 'few'],
        code: 2,
        says: /Use a whole number from 1: see lvsfleet watch --help$/,
      },
    ]
  for (const { name, words, input, code, says } of REFUSALS) {
    it(`refuses ${name} in one line, with exit code ${code}`, async () => {
      const result = await run(words, input)
      assert.equal(result.code, code)
      assert.match(result.stderr.trimEnd(), says)
      if (code === 2) assert.match(result.stderr, /^lvsfleet: [^\n]+\n$/)
      assert.doesNotMatch(result.stderr, /\n +at /, 'a stack trace is for us, not for operators')
    })
  }

  it('says with its own exit code that nobody answers, or that the key is wrong', async () => {
    const nobody = await runCli(['status'], '', {
      LVSFLEET_API: 'http://127.0.0.1:1',
      LVSFLEET_KEY: 'k',
    })
    assert.deepEqual([nobody.code, /cannot reach the API/.test(nobody.stderr)], [3, true])
    const stranger = await runCli(['status'], '', {
      LVSFLEET_API: api.url,
      LVSFLEET_KEY: 'lvsk_no',
    })
    assert.deepEqual([stranger.code, /API key/.test(stranger.stderr)], [1, true])
  })

  it('ends in peace when its reader has seen enough, and says so when there is no room', async () => {
    const cli = `${process.execPath} ${root}clients/cli/src/main.ts`
    const shell = (line: string) =>
      promisify(execFile)('bash', ['-c', `set -o pipefail; ${line}`]).then(
        ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
        ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
      )
    // The reader is gone before the first word.
    assert.deepEqual(await shell(`${cli} --help | true`), { code: 0, stdout: '', stderr: '' })
    const full = await shell(`${cli} --help > /dev/full`)
    assert.equal(full.code, 1)
    assert.match(full.stderr, /^lvsfleet: cannot write the output: .*no space left.*\n$/)
  })

  it('shows help with examples', async () => {
    const help = await run(['--help'])
    assert.equal(help.code, 0)
    assert.match(help.stdout, /Examples:/)
  })
})
