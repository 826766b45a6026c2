/** events, watch and webhook as an operator uses them: what they print, how they end, and what they do when the API goes away. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { keepEvents } from '../../services/api/src/verbs/housekeeping.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type TestApi } from './harness.ts'
import { root, runCli } from './run-cli.ts'

describe('lvsfleet events and watch', () => {
  let api: TestApi
  const opened: TestApi[] = []
  const env = () => ({ LVSFLEET_API: api.url, LVSFLEET_KEY: api.adminKey })
  const run = (...words: string[]) => runCli(words, '', env())

  before(async () => {
    api = await startTestApi()
    opened.push(api)
    assert.equal((await api.call('PUT', '/v1/fleet', twoSites())).status, 200)
  })
  after(async () => {
    for (const one of opened.toReversed()) await one.close()
  })

  /** A running `watch`; `line` gives its next line of output. */
  function watch(...words: string[]) {
    const child = spawn(process.execPath, [`${root}clients/cli/src/main.ts`, 'watch', ...words], {
      cwd: root,
      env: { PATH: process.env['PATH'], NO_COLOR: '1', ...env() },
      timeout: 60_000,
    })
    const said = { stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text))
    const code = new Promise<number | null>((resolve) => child.on('close', resolve))
    return { said, code, end: () => child.kill('SIGKILL') }
  }
  const connected = async () => {
    while (api.deps.events.followers === 0) await sleep(20)
  }
  const label = (n: number) =>
    api.call('PATCH', '/v1/pools/web?force=true', { labels: { n: String(n) } })

  it('lists what happened as a table, and as JSON', async () => {
    const shown = await run('events', '--virtual-service', 'web')
    assert.equal(shown.code, 0, shown.stderr)
    const [head = '', line = ''] = shown.stdout.split('\n')
    assert.match(head, /^EVENT +AT +SEVERITY +KIND +DIRECTOR +WHAT$/)
    assert.match(
      line,
      /^\d+ +\S+Z +info +intent\.changed +- +api-key\/first created virtual-service web, revision 1$/,
    )
    const events: unknown = JSON.parse((await run('events', '--limit', '3', '-o', 'json')).stdout)
    assert.ok(Array.isArray(events) && events.length === 3)
    assert.equal(
      (await run('events', '--since', '1d', '--severity', 'error')).stdout,
      'nothing happened\n',
    )
  })

  it('follows what comes, one line an event, and ends after --count', async () => {
    const watching = watch('--kind', 'intent.changed', '--count', '2')
    await connected()
    await label(1)
    await api.call('POST', '/v1/join-tokens', { role: 'director', site: 'site-a' })
    await label(2)
    assert.equal(await watching.code, 0, watching.said.stderr)
    const lines = watching.said.stdout.trimEnd().split('\n')
    assert.equal(lines.length, 2)
    for (const line of lines) {
      assert.match(
        line,
        /^\d+ +\S+Z  info      intent\.changed     -             api-key\/first updated pool web, revision \d+$/,
      )
    }
  })

  it('shows the past with --since, and prints one JSON a line for machines', async () => {
    const { code, stdout } = await run(
      'watch',
      '--since',
      '1h',
      '--kind',
      'intent.changed',
      '--count',
      '5',
      '-o',
      'json',
    )
    assert.equal(code, 0)
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line): { kind: string } => JSON.parse(line))
    assert.deepEqual(
      events.map(({ kind }) => kind),
      Array.from({ length: 5 }, () => 'intent.changed'),
    )
  })

  it('goes on where it was when the API comes back, and says so', async () => {
    const watching = watch('--kind', 'intent.changed', '--count', '2')
    await connected()
    await label(3)
    while (!watching.said.stdout.includes('updated pool web')) await sleep(20)
    // Another process of the same fleet takes over the address.
    const keeper = await startTestApi({ beside: api })
    const { port } = new URL(api.url)
    const before = api
    before.deps.live.waiters.close()
    await before.release()
    while (!watching.said.stderr.includes('connecting again')) await sleep(20)
    await keeper.call('PATCH', '/v1/pools/web?force=true', { labels: { n: '4' } })
    api = await startTestApi({ beside: keeper, port: Number(port) })
    assert.equal(await watching.code, 0, watching.said.stderr)
    assert.match(watching.said.stderr, /connecting again, going on after event \d+/)
    assert.equal(watching.said.stdout.trimEnd().split('\n').length, 2)
    // The one that made the files goes last.
    opened.push(keeper, api)
  })

  it('says what is lost when retention was quicker', async () => {
    await keepEvents(api.deps, new Date(), 3)
    const fresh = await startTestApi({ beside: api })
    const { code, stderr, stdout } = await runCli(['watch', '--after', '1', '--count', '3'], '', {
      LVSFLEET_API: fresh.url,
      LVSFLEET_KEY: api.adminKey,
    })
    assert.equal(code, 0, stderr)
    assert.match(stderr, /no longer kept, and you have seen those up to 1/)
    assert.equal(stdout.trimEnd().split('\n').length, 3)
    await fresh.close()
  })

  it('ends with the exit codes of the other commands', async () => {
    assert.equal((await run('watch', '--kind', 'nope')).code, 1)
    assert.equal((await run('watch', '-o', 'yaml')).code, 2)
    assert.equal((await run('watch', '--since', 'soon')).code, 2)
    assert.equal((await run('watch', '--count', '0')).code, 2)
    const away = await runCli(['watch'], '', {
      LVSFLEET_API: 'http://127.0.0.1:1',
      LVSFLEET_KEY: 'x',
    })
    assert.deepEqual([away.code, /cannot reach the API/.test(away.stderr)], [3, true])
    for (const command of ['events', 'watch', 'webhook']) {
      assert.match((await run(command, '--help')).stdout, /Examples?:\n  lvsfleet /)
    }
  })

  it('makes a webhook, shows it, pauses and deletes it', async () => {
    const made = await run(
      'webhook',
      'create',
      'pager',
      '--url',
      'https://127.0.0.1:9/x',
      '--severity',
      'error',
    )
    assert.match(made.stdout, /^whsec_\S{44}\n$/)
    assert.equal((await run('webhook', 'pause', 'pager')).stdout, 'pause pager: done\n')
    const listed = await run('webhook', 'list')
    assert.match(listed.stdout, /pager +paused +\d+ +error +all +https:\/\/127\.0\.0\.1:9\/x/)
    assert.equal(listed.code, 0)
    assert.equal((await run('webhook', 'delete', 'pager')).code, 0)
    assert.equal((await run('webhook', 'delete', 'pager')).code, 1)
    const refused = await run('webhook', 'create', 'plain', '--url', 'http://example.org/')
    assert.deepEqual(
      [refused.code, /plain http goes to this machine only/.test(refused.stderr)],
      [1, true],
    )
  })
})
