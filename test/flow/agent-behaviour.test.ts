/** What an operator is promised: drains, adoption, conflicts, limits, quarantine, clocks, outages. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip, type HostState } from '@lvs-fleet/contract'
import { setHold } from '../../services/agent/src/hold.ts'
import { KernelError } from '../../services/agent/src/kernel/kernel.ts'
import { createFakeHost, type FakeHost } from '../fakes/fake-host.ts'
import { destination, hostState, service } from '../fakes/states.ts'

const KEY = 'tcp/10.1.0.1:80'
const VIP = '10.1.0.1'

async function running(state: HostState): Promise<FakeHost> {
  const host = await createFakeHost()
  await host.start()
  await publish(host, state, 1)
  return host
}

async function publish(host: FakeHost, state: HostState, generation: number, allow = true) {
  return host.offer(
    await host.controller.publish(state, {
      generation,
      shrinkAllowedGeneration: allow ? generation : 0,
    }),
  )
}

const pair = (fields = {}) =>
  service(VIP, [destination('10.2.0.1'), destination('10.2.0.2')], fields)
const single = (fields = {}) => service(VIP, [destination('10.2.0.2')], fields)
const weightOf = (host: FakeHost, end: string, key = KEY) =>
  host.kernel.services.get(key)?.destinations.get(end)?.config.weight

test('a change meets what somebody did by hand a moment before, and all is as wanted at once', async () => {
  const byHand: readonly (readonly [string, (host: FakeHost) => void])[] = [
    ['the service is gone', (host) => host.kernel.services.delete(KEY)],
    [
      'the destination is gone',
      (host) => host.kernel.services.get(KEY)?.destinations.delete('10.2.0.1:80'),
    ],
    [
      'the new destination is there',
      (host) => {
        const three = destination('10.2.0.3', { weight: 9 })
        host.kernel.byHand({
          kind: 'destination.create',
          service: pair(),
          destination: three,
          to: three,
        })
      },
    ],
  ]
  for (const [what, meddle] of byHand) {
    const host = await running(hostState([pair()]))
    meddle(host)
    const wanted = service(VIP, [
      destination('10.2.0.1', { weight: 5 }),
      destination('10.2.0.2'),
      destination('10.2.0.3'),
    ])
    const offer = await publish(host, hostState([wanted]), 2)
    assert.equal(offer.is === 'applied' && offer.round.failed, 0, what)
    const weights = ['10.2.0.1:80', '10.2.0.2:80', '10.2.0.3:80'].map((end) => weightOf(host, end))
    assert.deepEqual(weights, [5, 1, 1], what)
    assert.equal(host.agent.snapshot().failedOpCount, 0, what)
  }
})

test('a change that is not done yet is no knowledge: the next one looks', async () => {
  const host = await running(hostState([pair()]))
  host.kernel.fault = (op) =>
    op.kind === 'destination.update' ? { code: 'ENOMEM', message: 'no memory' } : undefined
  const weighted = (weight: number) =>
    hostState([service(VIP, [destination('10.2.0.1', { weight }), destination('10.2.0.2')])])
  await publish(host, weighted(5), 2)
  assert.equal(host.agent.snapshot().failedOpCount, 1)
  host.kernel.fault = undefined
  // Back to what the kernel still holds: nothing to send, and nothing failed any more.
  const writes = host.kernel.writeCount()
  await publish(host, weighted(1), 3)
  assert.equal(host.kernel.writeCount(), writes)
  assert.equal(host.agent.snapshot().failedOpCount, 0)
})

test('a removed destination drains: weight 0, removed when idle', async () => {
  const host = await running(hostState([pair()]))
  host.kernel.setConnections(KEY, '10.2.0.1:80', 3)
  await publish(host, hostState([single()]), 2)
  assert.equal(weightOf(host, '10.2.0.1:80'), 0)
  assert.deepEqual(host.agent.snapshot().drains, [
    { service: KEY, destination: '10.2.0.1:80', remainingSeconds: 60, connections: 3 },
  ])
  host.clock.advance(5_000)
  await host.agent.drainRound()
  assert.equal(weightOf(host, '10.2.0.1:80'), 0)
  host.kernel.setConnections(KEY, '10.2.0.1:80', 0, 12)
  await host.agent.drainRound()
  assert.equal(weightOf(host, '10.2.0.1:80'), undefined)
  assert.equal(host.agent.snapshot().drainCount, 0)
  assert.equal(host.agent.snapshot().driftCount, 0)
})

test('a drain ends at its deadline, counted from when it began, across restarts and clock jumps', async () => {
  const host = await running(hostState([pair({ drainSeconds: 100 })]))
  host.kernel.setConnections(KEY, '10.2.0.1:80', 3)
  // The state that last had it says 100 seconds; what the next one says of others does not matter.
  await publish(host, hostState([single({ drainSeconds: 0 })]), 2)
  host.clock.advance(60_000)
  host.clock.jumpWall(48 * 3_600_000)
  await host.start()
  await host.agent.drainRound()
  assert.equal(weightOf(host, '10.2.0.1:80'), 0)
  assert.equal(host.agent.snapshot().drains[0]?.remainingSeconds, 40)
  host.clock.jumpWall(-96 * 3_600_000)
  host.clock.advance(40_000)
  await host.agent.drainRound()
  assert.equal(weightOf(host, '10.2.0.1:80'), undefined)
})

test('what comes back while it drains is simply there again', async () => {
  const host = await running(hostState([pair()]))
  host.kernel.setConnections(KEY, '10.2.0.1:80', 3)
  await publish(host, hostState([single()]), 2)
  await publish(host, hostState([pair()]), 3)
  assert.equal(weightOf(host, '10.2.0.1:80'), 1)
  assert.equal(host.agent.snapshot().drainCount, 0)
  host.clock.advance(3_600_000)
  await host.agent.drainRound()
  await host.agent.verifyRound()
  assert.equal(weightOf(host, '10.2.0.1:80'), 1)
})

test('a removed service drains, then goes, then its address and device after their linger', async () => {
  const host = await running(
    hostState([pair({ drainSeconds: 30 })], {
      lingerSeconds: 10,
      devices: [{ name: 'lvsfleet0', kind: 'dummy' }],
      addresses: [{ address: ip(VIP), place: { device: 'lvsfleet0' } }],
    }),
  )
  host.kernel.setConnections(KEY, '10.2.0.1:80', 3)
  await publish(host, hostState([]), 2)
  assert.equal(weightOf(host, '10.2.0.1:80'), 0)
  host.clock.advance(15_000)
  await host.agent.drainRound()
  await host.agent.verifyRound()
  assert.equal(host.kernel.addresses.length, 1, 'the linger is over, but the service still drains')
  host.clock.advance(15_000)
  await host.agent.drainRound()
  assert.equal(host.kernel.services.size, 0)
  assert.equal(host.kernel.addresses.length, 0, 'the address goes with the service that held it')
  assert.ok(!host.kernel.links.has('lvsfleet0'))
  assert.equal(host.agent.snapshot().driftCount, 0)
})

test('a service without a drain takes its address along, in one round', async () => {
  const host = await running(
    hostState([pair({ drainSeconds: 0 })], {
      devices: [{ name: 'lvsfleet0', kind: 'dummy' }],
      addresses: [{ address: ip(VIP), place: { device: 'lvsfleet0' } }],
    }),
  )
  await publish(host, hostState([]), 2)
  assert.equal(host.kernel.services.size, 0)
  assert.equal(host.kernel.addresses.length, 0)
  assert.ok(!host.kernel.links.has('lvsfleet0'))
  assert.equal(host.agent.snapshot().driftCount, 0)
})

test('a sysctl gets its old value back, unless somebody set it since', async () => {
  for (const meddled of [false, true]) {
    const host = await createFakeHost()
    host.kernel.sysctls.set('net.ipv4.vs.expire_nodest_conn', '0')
    await host.start()
    await publish(
      host,
      hostState([], {
        sysctls: [{ key: 'net.ipv4.vs.expire_nodest_conn', value: '1', accept: [] }],
      }),
      1,
    )
    assert.equal(host.kernel.sysctls.get('net.ipv4.vs.expire_nodest_conn'), '1')
    if (meddled) host.kernel.sysctls.set('net.ipv4.vs.expire_nodest_conn', '2')
    await publish(host, hostState([]), 2)
    await host.agent.verifyRound()
    assert.equal(host.kernel.sysctls.get('net.ipv4.vs.expire_nodest_conn'), meddled ? '2' : '0')
  }
})

test('a sysctl in the accepted list is left alone', async () => {
  const host = await createFakeHost()
  host.kernel.sysctls.set('net.ipv4.conf.all.rp_filter', '2')
  await host.start()
  await publish(
    host,
    hostState([], { sysctls: [{ key: 'net.ipv4.conf.all.rp_filter', value: '0', accept: ['2'] }] }),
    1,
  )
  assert.equal(host.kernel.writeCount(), 0)
})

async function withStranger(adopt: boolean): Promise<FakeHost> {
  const host = await createFakeHost()
  const stranger = service(VIP, [destination('10.2.0.1', { weight: 9 }), destination('10.2.0.7')], {
    scheduler: 'rr',
  })
  host.kernel.byHand({ kind: 'service.create', service: stranger, to: stranger })
  for (const d of stranger.destinations)
    host.kernel.byHand({ kind: 'destination.create', service: stranger, destination: d, to: d })
  host.kernel.byHand({
    kind: 'address.add',
    address: { address: ip(VIP), place: { device: 'eth0' } },
  })
  await host.start()
  const other = service('10.1.0.2', [destination('10.2.0.3')])
  const addresses = [{ address: ip(VIP), place: { device: 'eth0' } }]
  await publish(host, hostState([pair(), other], { adopt, addresses }), 1)
  return host
}

test('what stands and is not ours is a conflict that says what to do; the rest goes on', async () => {
  const host = await withStranger(false)
  assert.equal(weightOf(host, '10.2.0.1:80'), 9)
  assert.equal(weightOf(host, '10.2.0.3:80', 'tcp/10.1.0.2:80'), 1)
  const { failedOps } = host.agent.snapshot()
  assert.deepEqual(
    failedOps.map((failed) => failed.code),
    ['conflict', 'conflict'],
  )
  for (const failed of failedOps) assert.match(failed.message, /set adopt: true on the director/)
  const writes = host.kernel.writeCount()
  for (let i = 0; i < 20; i++) {
    host.clock.advance(2_000)
    await host.agent.verifyRound()
  }
  assert.equal(host.kernel.writeCount(), writes)
  // And it is not removed when it is not wanted any more.
  await publish(host, hostState([]), 2)
  host.clock.advance(120_000)
  await host.agent.verifyRound()
  assert.equal(weightOf(host, '10.2.0.1:80'), 9)
  assert.equal(host.kernel.addresses.length, 1)
})

test('adopted, it is taken over by edits without a gap, and is ours from then on', async () => {
  const host = await withStranger(true)
  assert.equal(weightOf(host, '10.2.0.1:80'), 1)
  assert.equal(weightOf(host, '10.2.0.7:80'), 0)
  assert.deepEqual(
    host.kernel.journal.filter((line) => line.includes(VIP)),
    [
      `~ service ${KEY} rr -> wrr`,
      `+ destination ${KEY} > 10.2.0.2:80 dr weight 1`,
      `~ destination ${KEY} > 10.2.0.1:80 dr weight 9 -> dr weight 1`,
      `~ destination ${KEY} > 10.2.0.7:80 dr weight 1 -> dr weight 0`,
    ],
  )
  assert.deepEqual(host.agent.snapshot().failedOps, [])
  await publish(host, hostState([]), 2)
  host.clock.advance(120_000)
  await host.agent.drainRound()
  await host.agent.drainRound()
  assert.ok(!host.kernel.services.has(KEY))
})

test('a service that appears between look and create is a conflict, and nothing is put into it', async () => {
  const host = await createFakeHost()
  await host.start()
  host.kernel.beforeOp = (op) => {
    if (op.kind !== 'service.create' || host.kernel.services.has(KEY)) return
    host.kernel.byHand({ kind: 'service.create', service: single(), to: single() })
  }
  await publish(host, hostState([pair()]), 1)
  assert.equal(host.kernel.services.get(KEY)?.destinations.size, 0)
  assert.equal(host.agent.snapshot().failedOps[0]?.code, 'conflict')
})

test('a state that takes away too much is held, and allowed only for its generation', async () => {
  const four = hostState([1, 2, 3, 4].map((n) => service(`10.1.0.${n}`, [destination('10.2.0.1')])))
  const two = hostState(four.services.slice(0, 2))
  const host = await running(four)
  const held = await publish(host, two, 2, false)
  assert.equal(held.is === 'rejected' ? held.rejection.code : held.is, 'shrink-held')
  assert.equal(host.kernel.services.size, 4)
  assert.equal(host.agent.snapshot().applied?.generation, 1)
  const stale = await host.offer(
    await host.controller.publish(two, { generation: 3, shrinkAllowedGeneration: 1 }),
  )
  assert.equal(stale.is, 'rejected')
  // The operator allows it without a new generation.
  assert.equal((await publish(host, two, 3, true)).is, 'applied')
  assert.equal(host.agent.snapshot().rejected, null)
})

test('with both slots lost, the ledger still keeps a small state from emptying the host', async () => {
  const four = hostState([1, 2, 3, 4].map((n) => service(`10.1.0.${n}`, [destination('10.2.0.1')])))
  const host = await running(four)
  host.disk.files.delete('slot-a')
  host.disk.files.delete('slot-b')
  await host.start()
  assert.equal((await publish(host, hostState(four.services.slice(0, 1)), 2, false)).is, 'rejected')
  assert.equal(host.kernel.services.size, 4)
})

test('three deaths in a row on one state: the one before it runs, and the control plane is told', async () => {
  const host = await running(hostState([single()]))
  await host.agent.markHarmless()
  await publish(host, hostState([pair()]), 2)
  // First death: the process that took generation 2. Two more follow.
  await host.start()
  assert.equal(host.agent.version?.generation, 2)
  await host.start()
  assert.equal(host.agent.version?.generation, 2)
  await host.start()
  assert.equal(host.agent.version?.generation, 1)
  const { applied, rejected } = host.agent.snapshot()
  assert.equal(applied?.generation, 1)
  assert.equal(rejected?.generation, 2)
  assert.equal(rejected?.code, 'quarantined')
  assert.equal((await publish(host, hostState([pair()]), 2)).is, 'rejected')
  assert.equal((await publish(host, hostState([pair()]), 3)).is, 'applied')
  await host.start()
  assert.equal(host.agent.version?.generation, 3)
})

test('a state that ran well, or was stopped well, is never quarantined', async () => {
  const host = await running(hostState([single()]))
  for (let life = 0; life < 10; life++) {
    await host.agent.markHarmless()
    await host.start()
    assert.equal(host.agent.version?.generation, 1)
  }
})

test('after a reboot the ledger of the old boot owns nothing, and all is made again', async () => {
  const host = await running(hostState([pair()]))
  host.kernel.setConnections(KEY, '10.2.0.1:80', 3)
  await publish(host, hostState([single()]), 2)
  host.kernel.reboot()
  // Somebody makes a service by hand before the agent starts.
  host.kernel.byHand({
    kind: 'service.create',
    service: service('10.1.0.9', []),
    to: service('10.1.0.9', []),
  })
  await host.start()
  assert.equal(host.agent.snapshot().drainCount, 0)
  assert.equal(weightOf(host, '10.2.0.2:80'), 1)
  assert.ok(host.kernel.services.has('tcp/10.1.0.9:80'))
})

test('a hand-made change is repaired, told with its text, and counted once', async () => {
  const host = await running(hostState([pair()]))
  const d = destination('10.2.0.1')
  host.kernel.byHand({
    kind: 'destination.update',
    service: pair(),
    destination: d,
    from: d,
    to: { ...d, weight: 50 },
  })
  await host.agent.verifyRound()
  assert.equal(weightOf(host, '10.2.0.1:80'), 1)
  const { drift, driftCount } = host.agent.snapshot()
  assert.equal(driftCount, 1)
  assert.equal(drift[0]?.op, `~ destination ${KEY} > 10.2.0.1:80 dr weight 50 -> dr weight 1`)
  assert.match(drift[0]?.at ?? '', /^2026-11-23T/)
})

test('a refused op is reported, tried again with patience, and stops nothing else', async () => {
  const host = await createFakeHost()
  await host.start()
  host.kernel.fault = (op) =>
    op.kind === 'destination.create' && op.destination.address === ip('10.2.0.2')
      ? { code: 'ENOMEM', message: 'no memory' }
      : undefined
  await publish(host, hostState([pair(), service('10.1.0.2', [destination('10.2.0.3')])]), 1)
  assert.equal(host.kernel.usable('tcp/10.1.0.2:80'), 1)
  assert.deepEqual(
    host.agent.snapshot().failedOps.map((f) => f.code),
    ['ENOMEM'],
  )
  assert.equal(host.agent.snapshot().applied?.generation, 1)
  const writes = host.kernel.writeCount()
  for (let second = 0; second < 300; second += 2) {
    host.clock.advance(2_000)
    await host.agent.verifyRound()
  }
  const tries = host.kernel.writeCount() - writes
  assert.ok(tries >= 6 && tries <= 15, `${tries} tries in five minutes`)
  host.kernel.fault = undefined
  host.clock.advance(60_000)
  await host.agent.verifyRound()
  assert.equal(weightOf(host, '10.2.0.2:80'), 1)
  assert.deepEqual(host.agent.snapshot().failedOps, [])
})

test('a kernel that does not answer is no empty kernel', async () => {
  const host = await running(hostState([pair()]))
  const writes = host.kernel.writeCount()
  host.kernel.readFault = new KernelError('list services', 'EINTR', 'interrupted')
  await host.agent.verifyRound()
  await publish(host, hostState([single()]), 2)
  assert.equal(host.kernel.writeCount(), writes)
  assert.equal(host.agent.snapshot().applied?.generation, 1)
  assert.equal(host.agent.snapshot().failedOps[0]?.code, 'EINTR')
  host.kernel.readFault = undefined
  await host.agent.verifyRound()
  assert.equal(weightOf(host, '10.2.0.1:80'), 0)
  assert.equal(host.agent.snapshot().applied?.generation, 2)
})

test('30 days without a control plane: no write, no file, whatever the clock says', async () => {
  const host = await running(
    hostState([pair()], { addresses: [{ address: ip(VIP), place: { device: 'eth0' } }] }),
  )
  await host.agent.verifyRound()
  const [writes, effects, table] = [
    host.kernel.writeCount(),
    host.disk.effectCount,
    host.kernel.describe(),
  ]
  for (let round = 0; round < 720; round++) {
    host.clock.advance(3_600_000)
    host.clock.jumpWall(round % 2 === 0 ? 86_400_000 : -86_400_000)
    await host.agent.verifyRound()
    await host.agent.drainRound()
  }
  assert.equal(host.kernel.writeCount(), writes)
  assert.equal(host.disk.effectCount, effects)
  assert.equal(host.kernel.describe(), table)
})

test('a device that was set down is made anew with its addresses', async () => {
  const state = hostState([single()], {
    devices: [{ name: 'lvsfleet0', kind: 'dummy' }],
    addresses: [{ address: ip(VIP), place: { device: 'lvsfleet0' } }],
  })
  const host = await running(state)
  const link = host.kernel.links.get('lvsfleet0')
  assert.ok(link !== undefined)
  host.kernel.links.set('lvsfleet0', { ...link, up: false })
  await host.agent.networkRound()
  assert.ok(host.kernel.links.get('lvsfleet0')?.up)
  assert.equal(host.kernel.addresses[0]?.linkIndex, host.kernel.links.get('lvsfleet0')?.index)
  assert.ok(host.agent.snapshot().driftCount > 0)
})

test('a full disk at boot does not keep the host from forwarding', async () => {
  const host = await running(hostState([pair()]))
  host.kernel.reboot()
  host.disk.beforeEffect = () => {
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  }
  await host.start()
  assert.equal(host.kernel.usable(KEY), 2)
  assert.equal(host.agent.snapshot().failedOps[0]?.code, 'ENOSPC')
  host.disk.beforeEffect = undefined
  await host.agent.verifyRound()
  await publish(host, hostState([single()]), 2)
  assert.deepEqual(host.agent.snapshot().failedOps, [])
})

test('held, a restart changes nothing; a reboot brings the last good state back', async () => {
  const host = await running(hostState([pair()]))
  await setHold(host.disk, 'incident')
  host.kernel.services.get(KEY)?.destinations.clear()
  await host.start()
  assert.equal(host.kernel.usable(KEY), 0)
  host.kernel.reboot()
  await host.start()
  assert.equal(host.kernel.usable(KEY), 2)
})

test('adoption that is allowed later takes effect at once', async () => {
  const host = await withStranger(false)
  const other = service('10.1.0.2', [destination('10.2.0.3')])
  await publish(host, hostState([pair(), other], { adopt: true }), 2)
  assert.equal(weightOf(host, '10.2.0.1:80'), 1)
  assert.deepEqual(host.agent.snapshot().failedOps, [])
})

test('what could not be made is not ours: whoever makes it later keeps it', async () => {
  const host = await createFakeHost()
  await host.start()
  host.kernel.fault = (op) =>
    op.kind === 'service.create' ? { code: 'ENOENT', message: 'no scheduler' } : undefined
  await publish(host, hostState([pair()]), 1)
  host.kernel.fault = undefined
  host.kernel.byHand({ kind: 'service.create', service: single(), to: single() })
  host.clock.advance(120_000)
  await host.agent.verifyRound()
  await publish(host, hostState([]), 2)
  host.clock.advance(120_000)
  await host.agent.verifyRound()
  await host.agent.drainRound()
  assert.equal(host.kernel.services.get(KEY)?.destinations.size, 0)
})
