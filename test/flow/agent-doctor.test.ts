/** `doctor` as a command and beside a running agent, on the fake kernel: finds, mends only what is safe, reports. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { findingSchema, ip } from '@lvs-fleet/contract'
import * as z from 'zod'
import { doctorCommand } from '../../services/agent/src/cli/doctor-command.ts'
import { runCommand } from '../../services/agent/src/cli/run-command.ts'
import type { Outside } from '../../services/agent/src/cli/session.ts'
import { parseConfig } from '../../services/agent/src/config.ts'
import { openDisk } from '../../services/agent/src/disk/node-disk.ts'
import { takeLock } from '../../services/agent/src/disk/lock.ts'
import { setHold } from '../../services/agent/src/hold.ts'
import { AgentError } from '../../services/agent/src/ports.ts'
import { createLog, systemClock } from '../../services/agent/src/system.ts'
import { startFakeApi } from '../fakes/fake-api.ts'
import { createFakeController } from '../fakes/fake-controller.ts'
import { createFakeDoctor, type FakeDoctor } from '../fakes/fake-doctor.ts'
import { createFakeKernel, type FakeKernel } from '../fakes/fake-kernel.ts'
import { held, route } from '../fakes/patients.ts'
import { destination, hostState, service } from '../fakes/states.ts'

const VIP = { address: ip('10.1.0.100'), place: { holding: ip('10.1.0.10') } }
const STATE = hostState([service('10.1.0.100', [destination('10.1.0.11')])], {
  addresses: [VIP],
  sysctls: [{ key: 'net.ipv4.vs.conn_reuse_mode', value: '2', accept: [] }],
})

type Bench = {
  readonly kernel: FakeKernel
  readonly doctor: FakeDoctor
  readonly directory: string
  readonly api: Awaited<ReturnType<typeof startFakeApi>>
  readonly stop: AbortController
  run(...words: string[]): Promise<number>
  /** Exit code, checks that found something, and all that was printed. */
  examine(...words: string[]): Promise<{ code: number; checks: string[]; text: string }>
}

/** A director that enrolled and applied STATE, and whose agent has ended. */
async function createBench(t: TestContext): Promise<Bench> {
  const directory = await mkdtemp(join(tmpdir(), 'lvsfleet-doctor-'))
  const controller = createFakeController()
  const api = await startFakeApi(controller)
  const kernel = createFakeKernel()
  kernel.addresses.push(held('10.1.0.10', 2, { prefixLength: 24 }))
  kernel.sysctls.set('net.ipv4.vs.conn_reuse_mode', '1')
  const doctor = createFakeDoctor()
  const stop = new AbortController()
  t.after(async () => {
    stop.abort()
    await api.close()
    await rm(directory, { recursive: true, force: true })
  })
  let printed = ''
  const outside: Outside = {
    clock: systemClock,
    random: () => 0.5,
    log: createLog('plain', () => undefined),
    print: (text) => (printed += text),
    openKernel: async () => kernel,
    openDoctor: async () => doctor,
    signal: stop.signal,
  }
  const env = {
    LVSFLEET_API: api.url.href,
    LVSFLEET_TOKEN: 'lvsj_1_secret',
    LVSFLEET_HOST_ROLE: 'director',
    LVSFLEET_HOST_NAME: 'lb1',
  }
  const configOf = (words: readonly string[]) =>
    parseConfig([...words, '--state-dir', directory], env)
  api.publish(await controller.publish(STATE, { generation: 1 }))
  const bench: Bench = {
    kernel,
    doctor,
    directory,
    api,
    stop,
    run: (...words) => runCommand(configOf(['run', ...words]), outside),
    async examine(...words) {
      printed = ''
      const code = await doctorCommand(configOf(['doctor', '--json', ...words]), outside)
      const json = printed.slice(printed.indexOf('{'))
      const { findings } = z.object({ findings: z.array(findingSchema) }).parse(JSON.parse(json))
      return { code, checks: findings.map(({ check }) => check), text: printed }
    },
  }
  assert.equal(await bench.run('--once'), 0)
  return bench
}

test('a healthy host has no finding and exits with 0', async (t) => {
  const bench = await createBench(t)
  assert.deepEqual(await bench.examine(), { code: 0, checks: [], text: '{\n  "findings": []\n}\n' })
})

test('looking changes nothing', async (t) => {
  const bench = await createBench(t)
  bench.kernel.byHand({ kind: 'address.remove', address: VIP })
  const writes = bench.kernel.writeCount()
  const { code, checks } = await bench.examine()
  assert.deepEqual([code, checks], [6, ['vip-on-director']])
  assert.equal(bench.kernel.writeCount(), writes)
})

test('--fix makes what is ours again, by ops of the agent, and looks once more', async (t) => {
  const bench = await createBench(t)
  bench.kernel.byHand({ kind: 'address.remove', address: VIP })
  bench.kernel.sysctls.set('net.ipv4.vs.conn_reuse_mode', '0')
  const [stray] = STATE.services
  assert.ok(stray)
  bench.kernel.byHand({ kind: 'service.remove', service: stray })
  const ill = await bench.examine()
  assert.deepEqual([ill.code, ill.checks], [6, ['vip-on-director', 'kernel-table', 'sysctls']])
  bench.kernel.journal.length = 0
  const healed = await bench.examine('--fix')
  assert.deepEqual([healed.code, healed.checks], [0, []])
  assert.deepEqual(bench.kernel.journal, [
    '~ sysctl net.ipv4.vs.conn_reuse_mode 0 -> 2',
    '+ address 10.1.0.100@holding 10.1.0.10',
    '+ service tcp/10.1.0.100:80 wrr',
    '+ destination tcp/10.1.0.100:80 > 10.1.0.11:80 dr weight 1',
  ])
})

test('--fix leaves what is not ours alone', async (t) => {
  const bench = await createBench(t)
  bench.kernel.links.set('tunl0', {
    index: 9,
    name: 'tunl0',
    kind: 'ipip',
    up: true,
    mtu: 1480,
    local: null,
    remote: null,
    checksum: false,
  })
  const writes = bench.kernel.writeCount()
  const { code, checks } = await bench.examine('--fix')
  assert.deepEqual([code, checks], [5, ['decapsulation-open']])
  assert.equal(bench.kernel.writeCount(), writes)
})

test('--fix does nothing while an agent runs, or while an operator holds it', async (t) => {
  const bench = await createBench(t)
  bench.kernel.byHand({ kind: 'address.remove', address: VIP })
  const writes = bench.kernel.writeCount()
  const unlock = takeLock(bench.directory)
  assert.equal((await bench.examine('--fix')).code, 6)
  unlock()
  await setHold(await openDisk(bench.directory), 'incident 42')
  assert.equal((await bench.examine('--fix')).code, 6)
  assert.equal(bench.kernel.writeCount(), writes)
})

test('--fix loads a module that is missing', async (t) => {
  const bench = await createBench(t)
  bench.doctor.capabilities = { ...bench.doctor.capabilities, schedulers: { wrr: 'no' } }
  bench.doctor.programs.set('modprobe', { code: 0, output: '' })
  const { checks } = await bench.examine('--fix', '--only', 'kernel-modules')
  assert.deepEqual(checks, ['kernel-modules'])
  assert.deepEqual(
    bench.doctor.ran.filter((line) => line.startsWith('modprobe')),
    ['modprobe ip_vs_wrr'],
  )
})

test('reads managers, sysctl files and routes of the host', async (t) => {
  const bench = await createBench(t)
  const { doctor, kernel } = bench
  doctor.files.set('/proc/77/cmdline', '/usr/sbin/keepalived\0-n\0')
  doctor.links.set('/proc/77/ns/net', 'net:[1]')
  doctor.files.set('/proc/78/cmdline', '/usr/sbin/ldirectord\0')
  doctor.links.set('/proc/78/ns/net', 'net:[2]')
  doctor.files.set('/etc/sysctl.d/9.conf', 'net.ipv4.vs.conn_reuse_mode = 0\n')
  kernel.sysctls.set('net.ipv4.vs.conn_reuse_mode', '0')
  doctor.routes.set(ip('10.1.0.11'), route({ gateway: ip('10.1.0.1') }))
  const { checks, text } = await bench.examine()
  assert.deepEqual(checks, ['dr-on-link', 'sysctls', 'foreign-manager'])
  assert.match(text, /\/etc\/sysctl\.d\/9\.conf sets 0 at boot/)
  assert.doesNotMatch(text, /ldirectord/)
})

test('--only takes known checks, --list names them', async (t) => {
  const bench = await createBench(t)
  bench.kernel.byHand({ kind: 'address.remove', address: VIP })
  assert.deepEqual((await bench.examine('--only', 'sysctls')).checks, [])
  await assert.rejects(
    bench.examine('--only', 'sysctl'),
    (error) => error instanceof AgentError && error.exitCode === 2 && /--list/.test(error.message),
  )
})

test('a running agent reports what its kernel can and what the cheap checks found, and asks once a boot', async (t) => {
  const bench = await createBench(t)
  bench.kernel.links.set('gre0', {
    index: 9,
    name: 'gre0',
    kind: 'gre',
    up: true,
    mtu: 1476,
    local: null,
    remote: null,
    checksum: false,
  })
  const done = bench.run()
  const reported = () => bench.api.reports.findLast(({ doctor }) => doctor !== null)
  for (let i = 0; i < 2_000 && reported() === undefined; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const report = reported()
  assert.deepEqual(
    report?.doctor?.findings.map(({ check, object }) => `${check} ${object}`),
    ['decapsulation-open device gre0'],
  )
  assert.equal(report?.capabilities?.kernelRelease, '6.1.0-test')
  bench.stop.abort()
  assert.equal(await done, 0)
  assert.equal(bench.doctor.probes, 1)
  // Kept on disk: the command needs no trial of its own.
  await bench.examine()
  assert.equal(bench.doctor.probes, 1)
})
