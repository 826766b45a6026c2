/** The whole command, on a fake kernel, a real directory and a control plane over real HTTP. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { applyCommand } from '../../services/agent/src/cli/apply-command.ts'
import { runCommand } from '../../services/agent/src/cli/run-command.ts'
import type { Outside } from '../../services/agent/src/cli/session.ts'
import { statusCommand } from '../../services/agent/src/cli/status-command.ts'
import { parseConfig } from '../../services/agent/src/config.ts'
import { openDisk } from '../../services/agent/src/disk/node-disk.ts'
import { releaseHold, setHold } from '../../services/agent/src/hold.ts'
import { AgentError } from '../../services/agent/src/ports.ts'
import { createFakeClock } from '../fakes/fake-clock.ts'
import { FakePathSockets } from '../fakes/fake-path-sockets.ts'
import { destination, hostState, pathState, service } from '../fakes/states.ts'
import { configOf, createBench, until } from './agent-bench.ts'

const STATE = hostState([
  service('10.1.0.100', [destination('10.1.0.11'), destination('10.1.0.12')]),
])
const LIGHTER = hostState([
  service('10.1.0.100', [destination('10.1.0.11'), destination('10.1.0.12', { weight: 5 })]),
])

test('enrols, polls, applies and reports; the key is private and the token is in no file or log', async (t) => {
  const bench = await createBench(t)
  bench.api.publish(await bench.controller.publish(STATE, { generation: 1 }))
  assert.equal(await bench.run('run', '--once'), 0)
  assert.equal(bench.kernel.usable('tcp/10.1.0.100:80'), 2)
  const report = bench.api.reports.at(-1)
  assert.equal(report?.applied?.generation, 1)
  assert.equal(report?.seq, 1)
  assert.equal(report?.source, 'control-plane')
  for (const name of ['key.json', 'identity.json', 'slot-a']) {
    const file = join(bench.directory, name)
    assert.equal((await stat(file)).mode & 0o777, 0o600, name)
    assert.ok(!(await readFile(file, 'utf8')).includes('lvsj_1_secret'), name)
  }
  assert.ok(!bench.logged.join('').includes('lvsj_1_secret'))
})

test('a running agent follows the control plane within a long poll, and survives its death', async (t) => {
  const bench = await createBench(t)
  bench.api.publish(await bench.controller.publish(STATE, { generation: 1 }))
  const done = bench.run('run')
  await until(() => bench.api.reports.at(-1)?.applied?.generation === 1, 'first report')
  await until(
    () => bench.api.requests.some((line) => line.includes('wait=50') && line.includes('have=1.1')),
    'long poll',
  )
  bench.api.publish(await bench.controller.publish(LIGHTER, { generation: 2 }))
  await until(() => bench.api.reports.at(-1)?.applied?.generation === 2, 'second report')
  assert.match(bench.kernel.describe(), /10\.1\.0\.12:80 dr -w 5/)

  const writes = bench.kernel.writeCount()
  await bench.api.close()
  await new Promise((resolve) => setTimeout(resolve, 2_500))
  assert.equal(bench.kernel.writeCount(), writes)
  bench.stop.abort()
  assert.equal(await done, 0)
})

test('what a poll brought is reported by the next one, where that comes at once: one request a change', async (t) => {
  const bench = await createBench(t)
  const { api, controller } = bench
  api.publish(await controller.publish(STATE, { generation: 1 }))
  const done = bench.run('run')
  // Past the spacing of polls: one that is answered within it is not followed at once.
  const waiting = async (generation: number): Promise<void> => {
    const isAsked = () => api.requests.some((line) => line.includes(`have=1.${generation}&wait=50`))
    await until(isAsked, `a poll after ${generation}`)
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  await waiting(1)
  // One may meet what is looked at every second, and be reported with that.
  let single = 0
  for (let generation = 2; single < 3 && generation <= 12; generation++) {
    const before = api.requests.length
    const state = generation % 2 === 0 ? LIGHTER : STATE
    api.publish(await controller.publish(state, { generation }))
    await waiting(generation)
    const [asked = '', ...more] = api.requests.slice(before)
    const held = encodeURIComponent(`"1.${generation}.`)
    const path = `POST /v1/agent/report?have=1.${generation}&wait=50&held=${held}`
    if (more.length === 0 && asked.startsWith(path)) single++
    await until(() => api.reports.at(-1)?.applied?.generation === generation, 'its report')
  }
  assert.equal(single, 3)
  const before = api.requests.length
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  assert.equal(api.requests.length, before, 'nothing is reported twice while that poll waits')
  bench.stop.abort()
  assert.equal(await done, 0)
})

test('a report that a poll took along and that did not arrive goes by itself', async (t) => {
  const bench = await createBench(t)
  const { api, controller } = bench
  let lost = 0
  api.intercept = (request, response) => {
    if (request.url?.includes('held=') !== true) return false
    lost++
    response.destroy()
    return true
  }
  api.publish(await controller.publish(STATE, { generation: 1 }))
  const done = bench.run('run')
  for (let generation = 2; lost < 2 && generation <= 12; generation++) {
    const isPolled = () =>
      api.requests.some((line) => line.startsWith(`GET /v1/agent/state?have=1.${generation - 1}`))
    await until(isPolled, 'a poll that waits')
    await new Promise((resolve) => setTimeout(resolve, 300))
    const state = generation % 2 === 0 ? LIGHTER : STATE
    api.publish(await controller.publish(state, { generation }))
    await until(() => api.reports.at(-1)?.applied?.generation === generation, 'its report')
  }
  assert.equal(lost, 2)
  bench.stop.abort()
  assert.equal(await done, 0)
})

test('an API that takes a report and says no more is polled as ever', async (t) => {
  const bench = await createBench(t)
  const { api, controller } = bench
  api.isOlder = true
  api.publish(await controller.publish(STATE, { generation: 1 }))
  const done = bench.run('run')
  const isPolled = (generation: number) => () =>
    api.requests.some((line) => line.startsWith(`GET /v1/agent/state?have=1.${generation}&wait=50`))
  let carried = 0
  for (let generation = 2; carried < 2 && generation <= 12; generation++) {
    await until(isPolled(generation - 1), `a poll after ${generation - 1}`)
    await new Promise((resolve) => setTimeout(resolve, 300))
    const state = generation % 2 === 0 ? LIGHTER : STATE
    api.publish(await controller.publish(state, { generation }))
    await until(isPolled(generation), `a poll after ${generation}`)
    await until(() => api.reports.at(-1)?.applied?.generation === generation, 'its report')
    carried = api.requests.filter((line) => line.includes('held=')).length
  }
  assert.ok(carried >= 2, `${carried} travelled along`)
  bench.stop.abort()
  assert.equal(await done, 0)
})

test('starts from disk with the control plane gone, before any network call', async (t) => {
  const bench = await createBench(t)
  bench.api.publish(await bench.controller.publish(STATE, { generation: 1 }))
  await bench.run('run', '--once')
  bench.kernel.reboot()
  const requests = bench.api.requests.length
  bench.api.intercept = (_, response) => {
    assert.equal(bench.kernel.usable('tcp/10.1.0.100:80'), 2)
    response.writeHead(503).end()
    return true
  }
  const done = bench.run('run')
  await until(() => bench.api.requests.length > requests, 'a call after the start')
  bench.stop.abort()
  await done
  assert.equal(bench.kernel.usable('tcp/10.1.0.100:80'), 2)
})

test('a second agent on the same directory is refused', async (t) => {
  const bench = await createBench(t)
  bench.api.publish(await bench.controller.publish(STATE, { generation: 1 }))
  const done = bench.run('run')
  await until(() => bench.api.reports.length > 0, 'a report')
  await assert.rejects(bench.run('run'), AgentError)
  bench.stop.abort()
  await done
})

test('a clock that is off by a day costs one more call', async (t) => {
  const bench = await createBench(t)
  bench.api.publish(await bench.controller.publish(STATE, { generation: 1 }))
  bench.api.skewMs = 24 * 3_600_000
  assert.equal(await bench.run('run', '--once'), 0)
  const tokens = bench.api.requests.filter((line) => line.endsWith('/v1/agent/token')).length
  assert.equal(tokens, 2)
})

test('a revoked token is bought anew once', async (t) => {
  const bench = await createBench(t)
  bench.api.publish(await bench.controller.publish(STATE, { generation: 1 }))
  const done = bench.run('run')
  await until(() => bench.api.reports.length > 0, 'a report')
  bench.api.revokeTokens()
  bench.api.publish(await bench.controller.publish(LIGHTER, { generation: 2 }))
  await until(() => bench.api.reports.at(-1)?.applied?.generation === 2, 'the new state')
  bench.stop.abort()
  await done
})

test('a dry run prints the plan and changes nothing', async (t) => {
  const bench = await createBench(t)
  assert.equal(await bench.run('run', '--dry-run'), 0)
  assert.deepEqual(bench.printed.splice(0), ['no changes\n'])
  assert.match(bench.logged.join(''), /not enrolled, and a dry run enrols nobody/)
  bench.api.publish(await bench.controller.publish(STATE, { generation: 1 }))
  await bench.run('run', '--once')
  const writes = bench.kernel.writeCount()
  assert.equal(await bench.run('run', '--dry-run', '--detailed-exitcode'), 0)
  assert.deepEqual(bench.printed.splice(0), ['no changes\n'])
  bench.api.publish(await bench.controller.publish(LIGHTER, { generation: 2 }))
  assert.equal(await bench.run('run', '--dry-run', '--detailed-exitcode'), 4)
  assert.deepEqual(bench.printed, [
    '~ destination tcp/10.1.0.100:80 > 10.1.0.12:80 dr weight 1 -> dr weight 5\n',
  ])
  assert.equal(bench.kernel.writeCount(), writes)
})

test('hold stops applying and release catches up', async (t) => {
  const bench = await createBench(t)
  const disk = await openDisk(bench.directory)
  bench.api.publish(await bench.controller.publish(STATE, { generation: 1 }))
  const done = bench.run('run')
  await until(() => bench.api.reports.at(-1)?.applied?.generation === 1, 'the first state')
  await setHold(disk, 'incident')
  const writes = bench.kernel.writeCount()
  bench.api.publish(await bench.controller.publish(LIGHTER, { generation: 2 }))
  bench.kernel.services.get('tcp/10.1.0.100:80')?.destinations.clear()
  await new Promise((resolve) => setTimeout(resolve, 2_500))
  assert.equal(bench.kernel.writeCount(), writes)
  await until(() => bench.api.reports.at(-1)?.held === 'incident', 'the reason in a report')
  await releaseHold(disk)
  await until(() => bench.api.reports.at(-1)?.applied?.generation === 2, 'the waiting state')
  await until(() => bench.api.reports.at(-1)?.held === null, 'a report that it is released')
  bench.stop.abort()
  await done
})

test('break-glass applies a plain file with no control plane, then holds', async (t) => {
  const bench = await createBench(t)
  await bench.api.close()
  const file = join(bench.directory, 'state.json')
  await writeFile(file, JSON.stringify(STATE))
  assert.equal(
    await applyCommand(configOf(bench.directory, bench.api, ['apply', file]), bench.outside),
    0,
  )
  assert.equal(bench.kernel.usable('tcp/10.1.0.100:80'), 2)
  assert.equal(
    await statusCommand(configOf(bench.directory, bench.api, ['status']), bench.outside),
    0,
  )
  assert.match(bench.printed.join(''), /held +apply .*state\.json/)

  await writeFile(file, JSON.stringify({ ...STATE, services: [] }))
  const config = configOf(bench.directory, bench.api, ['apply', file])
  await assert.rejects(applyCommand(config, bench.outside), /shrink-held/)
  const allowed = configOf(bench.directory, bench.api, ['apply', file, '--allow-shrink'])
  assert.equal(await applyCommand(allowed, bench.outside), 0)
  assert.equal(bench.kernel.usable('tcp/10.1.0.100:80'), 0)
})

test('break-glass applies a signed document, but no older one without force and a reason', async (t) => {
  const bench = await createBench(t)
  const older = await bench.controller.publish(STATE, { generation: 1 })
  bench.api.publish(await bench.controller.publish(LIGHTER, { generation: 2 }))
  await bench.run('run', '--once')
  const file = join(bench.directory, 'old.state')
  await writeFile(file, older.document)
  const apply = (...args: string[]) =>
    applyCommand(configOf(bench.directory, bench.api, ['apply', file, ...args]), bench.outside)
  await assert.rejects(apply(), /older-generation/)
  await assert.rejects(apply('--force'), /--reason/)
  assert.equal(await apply('--force', '--reason', 'drill'), 0)
  assert.doesNotMatch(bench.kernel.describe(), /-w 5/)
})

test('a running agent measures its paths, and tells the control plane and status of one that lies', async (t) => {
  const bench = await createBench(t)
  const path = pathState(11, { realServer: 'rs-b1' })
  const clock = createFakeClock()
  const sockets = new FakePathSockets(clock)
  sockets.behind.set(path.mark, { carries: 1380, otherwise: 'too-big' })
  const state = hostState(STATE.services, { paths: [path] })
  bench.api.publish(await bench.controller.publish(state, { generation: 1 }))
  const outside: Outside = { ...bench.outside, clock, openPathSockets: async () => sockets }
  const done = runCommand(configOf(bench.directory, bench.api, ['run']), outside)
  await until(() => {
    clock.advance(100)
    return bench.api.reports.at(-1)?.paths?.narrowCount === 1
  }, 'the alarm')
  assert.equal(bench.api.reports.at(-1)?.paths?.narrow[0]?.carries, 1380)
  await until(() => {
    clock.advance(100)
    return readFileSync(join(bench.directory, 'status.json'), 'utf8').includes('"carries": 1380')
  }, 'the status file')
  bench.stop.abort()
  assert.equal(await done, 0)
  await statusCommand(configOf(bench.directory, bench.api, ['status']), bench.outside)
  assert.match(
    bench.printed.join(''),
    /narrow +rs-b1 \(ipv4 to 10\.2\.0\.11 by tun ipip\): carries 1380 of 1480 bytes/,
  )
})

test('how often paths are measured is a whole number of seconds, or never', () => {
  const secondsOf = (...args: string[]) => parseConfig(['run', ...args], {}).pathSeconds
  assert.equal(secondsOf(), 300)
  assert.equal(secondsOf('--path-seconds', '0'), 0)
  for (const text of ['-1', '1.5', 'often', '86401', '']) {
    assert.throws(
      () => secondsOf(`--path-seconds=${text}`),
      /--path-seconds: ".*" is no whole number from 0 to 86400/,
    )
  }
})

test('a command line that is wrong is refused in one line that says where to look', () => {
  const rows: readonly (readonly [readonly string[], RegExp])[] = [
    [['run', '--onec'], /^unknown option '--onec': see lvsfleet-agent --help$/],
    [['run', '--name'], /^option '--name <value>' argument missing: see lvsfleet-agent --help$/],
    [['run', '--name', '-x'], /^option '--name' argument is ambiguous: see lvsfleet-agent --help$/],
    [['run', 'once'], /^run takes no argument such as "once": see lvsfleet-agent --help$/],
    [['rnu'], /^command: "rnu" is none of run, enrol, [^\n]+$/],
  ]
  for (const [words, says] of rows) {
    assert.throws(() => parseConfig(words, {}), { name: 'AgentError', message: says })
  }
})

test('status says what is left of a drain, with the control plane gone', async (t) => {
  const bench = await createBench(t)
  bench.api.publish(await bench.controller.publish(STATE, { generation: 1 }))
  await bench.run('run', '--once')
  bench.kernel.setConnections('tcp/10.1.0.100:80', '10.1.0.12:80', 312, 5)
  const deadline = Date.now() + 900_000
  const drain = { name: 'disk', reason: 'new disk', owner: 'me', deadline, idleSeconds: 10 }
  const drained = destination('10.1.0.12', {
    weight: 0,
    drain: { ...drain, waitForTemplates: false },
  })
  const state = hostState([service('10.1.0.100', [destination('10.1.0.11'), drained])])
  bench.api.publish(await bench.controller.publish(state, { generation: 2 }))
  await bench.run('run', '--once')
  bench.printed.splice(0)
  const config = configOf(bench.directory, bench.api, ['status'])
  assert.equal(await statusCommand(config, bench.outside), 0)
  const text = bench.printed.join('')
  assert.match(
    text,
    /drain {3}disk: 0 of 1 destinations are out; 312 active, 5 other connections; \d+ s left/,
  )
})
