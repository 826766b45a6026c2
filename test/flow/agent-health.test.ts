/** Health checks of a running agent: from the published state to sockets, and back in the report. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ip, type CheckState } from '@lvs-fleet/contract'
import { statusCommand } from '../../services/agent/src/cli/status-command.ts'
import { closedPort, tcpServer } from '../fakes/bad-servers.ts'
import { destination, hostState, service } from '../fakes/states.ts'
import { configOf, createBench, until } from './agent-bench.ts'

function check(key: string, port: number): CheckState {
  return {
    key,
    probe: { kind: 'tcp' },
    realServer: `rs-${key}`,
    address: ip('127.0.0.1'),
    port,
    way: { is: 'direct' },
    intervalMs: 100,
    downIntervalMs: 100,
    jitterPercent: 10,
    timeoutMs: 100,
    rise: 1,
    fall: 2,
    graceMs: 0,
    damping: null,
  }
}

const stateOf = (...checks: CheckState[]) =>
  hostState(
    [service('10.1.0.100', [destination('10.1.0.11', { checks: checks.map(({ key }) => key) })])],
    { checks },
  )

test('the checks of the state in force run, their changes are reported and logged with their cause', async (t) => {
  const bench = await createBench(t)
  const port = await tcpServer(t, () => {})
  const closed = await closedPort()
  bench.api.publish(
    await bench.controller.publish(stateOf(check('a', port), check('b', closed)), {
      generation: 1,
    }),
  )
  const done = bench.run('run')
  const newest = () => bench.api.reports.at(-1)?.health
  await until(() => newest()?.counts.down === 1 && newest()?.counts.up === 1, 'one up, one down')
  const [first] = newest()?.checks ?? []
  assert.deepEqual(
    [first?.realServer, first?.state, first?.class, first?.detail],
    ['rs-b', 'down', 'server-down', 'connection refused'],
  )
  assert.deepEqual(
    newest()?.events.map(({ realServer, from, to, cause }) => [realServer, from, to, cause]),
    [['rs-b', 'unknown', 'down', 'connection refused']],
  )
  assert.ok(bench.logged.some((line) => line.includes('health changed') && line.includes('rs-b')))

  // Another state: what stays keeps its history, what left is gone.
  bench.api.publish(await bench.controller.publish(stateOf(check('b', closed)), { generation: 2 }))
  await until(() => newest()?.checks.length === 1, 'only one check')
  assert.equal(newest()?.checks[0]?.since, first?.since)
  const file = join(bench.directory, 'status.json')
  await until(
    () => /"up": 0,\s+"down": 1,\s+"held": 0,\s+"unknown": 0/.test(readFileSync(file, 'utf8')),
    'status on disk',
  )
  bench.stop.abort()
  assert.equal(await done, 0)
  await statusCommand(configOf(bench.directory, bench.api, ['status']), bench.outside)
  assert.match(bench.printed.join(''), /^health +0 up, 1 down, 0 held, 0 unknown$/m)
  assert.match(
    bench.printed.join(''),
    /^ {2}down {4}rs-b tcp 127\.0\.0\.1 port \d+ server-down since .*: connection refused$/m,
  )
})

test('an agent that stops does not wait for its probes', async (t) => {
  const bench = await createBench(t)
  const port = await tcpServer(t, () => {})
  const slow = {
    ...check('a', port),
    timeoutMs: 60_000,
    intervalMs: 60_000,
    downIntervalMs: 60_000,
  }
  bench.api.publish(await bench.controller.publish(stateOf(slow), { generation: 1 }))
  const done = bench.run('run')
  await until(() => bench.api.reports.at(-1)?.health?.counts.unknown === 1, 'a check that waits')
  bench.stop.abort()
  assert.equal(await done, 0)
})

test('a script runs only from the folder that the host allows, and is unknown elsewhere', async (t) => {
  const bench = await createBench(t)
  const script = {
    ...check('a', 80),
    probe: { kind: 'script' as const, path: '/bin/true', args: [] },
  }
  bench.api.publish(await bench.controller.publish(stateOf(script), { generation: 1 }))
  const done = bench.run('run')
  const said = () => bench.api.reports.at(-1)?.health?.checks[0]
  await until(
    () => said()?.detail === 'cannot run: this host allows no scripts (--allow-scripts DIR)',
    'the reason in a report',
  )
  assert.equal(said()?.state, 'unknown')
  bench.stop.abort()
  assert.equal(await done, 0)
  const words = ['run', '--allow-scripts', 'checks']
  assert.throws(
    () => configOf(bench.directory, bench.api, words),
    /--allow-scripts: "checks" is no absolute path/,
  )
  const given = ['run', '--allow-scripts', '/etc/checks/']
  assert.equal(configOf(bench.directory, bench.api, given).allowScripts, '/etc/checks')
})
