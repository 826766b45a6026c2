/** Timeouts and sync daemons: made so, kept so, given back, and never taken from anybody. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip, type HostPart, type SyncDaemonState } from '@lvs-fleet/contract'
import { createFakeHost, type FakeHost } from '../fakes/fake-host.ts'
import { destination, hostState, service } from '../fakes/states.ts'

const KERNEL_TIMEOUTS = { tcp: 900, tcpFin: 120, udp: 300 }
const MASTER: SyncDaemonState = {
  role: 'master',
  place: { device: 'eth0' },
  syncId: 7,
  group: ip('224.0.0.81'),
  port: 8848,
  ttl: 1,
  maxlen: null,
}
const BACKUP: SyncDaemonState = { ...MASTER, role: 'backup' }
const FOREIGN = { ...MASTER, device: 'eth0', maxlen: 1472, syncId: 99 }

async function publish(host: FakeHost, part: Partial<HostPart>, generation: number): Promise<void> {
  const published = await host.controller.publish(hostState([], part), { generation })
  assert.equal((await host.offer(published)).is, 'applied')
}

async function running(part: Partial<HostPart>): Promise<FakeHost> {
  const host = await createFakeHost()
  await host.start()
  await publish(host, part, 1)
  return host
}

async function isQuiet(host: FakeHost): Promise<boolean> {
  await host.agent.verifyRound()
  const writes = host.kernel.writeCount()
  await host.agent.verifyRound()
  return host.kernel.writeCount() === writes
}

const roles = (host: FakeHost) =>
  [...host.kernel.syncDaemons.values()].map(({ role, syncId }) => `${role} ${syncId}`)

test('sets only the timeouts that are asked for, keeps them, and gives the old ones back', async () => {
  const host = await running({ timeouts: [{ name: 'udp', seconds: 30 }] })
  assert.deepEqual(host.kernel.timeouts, { ...KERNEL_TIMEOUTS, udp: 30 })
  assert.ok(await isQuiet(host))
  host.kernel.timeouts = { ...host.kernel.timeouts, udp: 77, tcp: 60 }
  await host.agent.verifyRound()
  assert.deepEqual(host.kernel.timeouts, { tcp: 60, tcpFin: 120, udp: 30 })
  assert.equal(host.agent.snapshot().driftCount, 1)
  await publish(host, { timeouts: [{ name: 'udp', seconds: 40 }] }, 2)
  assert.equal(host.kernel.timeouts.udp, 40)
  // After a restart too: what was there before is in the ledger.
  await host.start()
  await publish(host, {}, 3)
  assert.deepEqual(host.kernel.timeouts, { tcp: 60, tcpFin: 120, udp: 300 })
  assert.ok(await isQuiet(host))
})

test('a timeout that somebody set since is not given back', async () => {
  const host = await running({ timeouts: [{ name: 'tcp', seconds: 3600 }] })
  host.kernel.timeouts = { ...host.kernel.timeouts, tcp: 1800 }
  await publish(host, {}, 2)
  assert.equal(host.kernel.timeouts.tcp, 1800)
})

test('starts daemons, restarts one that changed, and stops what left', async () => {
  const host = await running({ syncDaemons: [MASTER, BACKUP] })
  assert.deepEqual(roles(host), ['master 7', 'backup 7'])
  assert.ok(await isQuiet(host))
  host.kernel.journal.length = 0
  await publish(host, { syncDaemons: [{ ...MASTER, syncId: 8 }] }, 2)
  assert.deepEqual(
    host.kernel.journal.map((line) => line.split(' id')[0]),
    ['- sync daemon backup', '- sync daemon master', '+ sync daemon master'],
  )
  assert.deepEqual(roles(host), ['master 8'])
  await publish(host, {}, 3)
  assert.deepEqual(roles(host), [])
  assert.deepEqual(host.agent.snapshot().failedOps, [])
})

test('a daemon that died, or runs otherwise, is drift', async () => {
  const host = await running({ syncDaemons: [MASTER] })
  host.kernel.syncDaemons.clear()
  await host.agent.verifyRound()
  assert.deepEqual(roles(host), ['master 7'])
  assert.equal(host.agent.snapshot().driftCount, 1)
  host.kernel.syncDaemons.set('master', { ...FOREIGN, ttl: 9 })
  await host.agent.verifyRound()
  assert.deepEqual(roles(host), ['master 7'])
})

test('a daemon of somebody else is a conflict, and is never stopped', async () => {
  const host = await createFakeHost()
  host.kernel.syncDaemons.set('master', FOREIGN)
  await host.start()
  await publish(host, { syncDaemons: [MASTER, BACKUP] }, 1)
  assert.deepEqual(roles(host), ['master 99', 'backup 7'])
  assert.deepEqual(
    host.agent.snapshot().failedOps.map(({ code }) => code),
    ['conflict'],
  )
  await publish(host, {}, 2)
  assert.deepEqual(roles(host), ['master 99'])
  await publish(host, { syncDaemons: [MASTER], adopt: true }, 3)
  assert.deepEqual(roles(host), ['master 7'])
})

test('one that could not be started is not ours: whoever starts it later keeps it', async () => {
  const host = await createFakeHost()
  host.kernel.fault = (op) =>
    op.kind === 'sync.start' ? { code: 'ENODEV', message: 'no such interface' } : undefined
  await host.start()
  await publish(host, { syncDaemons: [MASTER] }, 1)
  host.kernel.fault = undefined
  host.kernel.syncDaemons.set('master', FOREIGN)
  await publish(host, {}, 2)
  assert.deepEqual(roles(host), ['master 99'])
})

test('sync and mixed families take turns: the daemon stops before, and starts after', async () => {
  const mixed = service('10.1.0.100', [
    destination('fd02::1', { forwarding: { method: 'tun', tunnel: { type: 'ipip' } } }),
  ])
  const host = await running({ syncDaemons: [MASTER] })
  const turn = async (state: ReturnType<typeof hostState>, generation: number) => {
    const allow = { generation, shrinkAllowedGeneration: generation }
    await host.offer(await host.controller.publish(state, allow))
  }
  await turn(hostState([mixed]), 2)
  assert.deepEqual(host.agent.snapshot().failedOps, [])
  assert.equal(host.kernel.usable('tcp/10.1.0.100:80'), 1)
  // The other way the kernel refuses until the last of them is gone.
  host.kernel.setConnections('tcp/10.1.0.100:80', '[fd02::1]:80', 1)
  await turn(hostState([], { syncDaemons: [MASTER] }), 3)
  assert.deepEqual(roles(host), [])
  for (let round = 0; round < 3; round++) {
    host.clock.advance(61_000)
    await host.agent.drainRound()
    await host.agent.verifyRound()
  }
  assert.deepEqual(roles(host), ['master 7'])
  assert.deepEqual(host.agent.snapshot().failedOps, [])
})
