/** A state comes in, the kernel is so: expected kernels as text. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '@lvs-fleet/contract'
import { createFakeHost } from '../fakes/fake-host.ts'
import { destination, hostState, largeState, service } from '../fakes/states.ts'

const VIP = '10.1.0.100'

test('makes what the state says, and nothing when it is so already', async () => {
  const host = await createFakeHost()
  await host.start()
  const state = hostState(
    [
      service(VIP, [
        destination('10.1.0.11', { weight: 3 }),
        destination('10.2.0.21', { forwarding: { method: 'tun', tunnel: { type: 'ipip' } } }),
      ]),
    ],
    {
      devices: [{ name: 'lvsfleet0', kind: 'dummy' }],
      addresses: [{ address: ip(VIP), place: { device: 'lvsfleet0' } }],
      sysctls: [{ key: 'net.ipv4.conf.lvsfleet0.rp_filter', value: '0', accept: ['2'] }],
      clamps: [{ address: ip(VIP), mss: 1440 }],
    },
  )
  const offer = await host.offer(await host.controller.publish(state, { generation: 1 }))
  assert.equal(offer.is, 'applied')
  assert.equal(
    host.kernel.describe(),
    [
      '-A -t 10.1.0.100:80 -s wrr',
      '-a -t 10.1.0.100:80 -r 10.1.0.11:80 dr -w 3',
      '-a -t 10.1.0.100:80 -r 10.2.0.21:80 tun ipip -w 1',
      'device lvsfleet0 dummy',
      'address 10.1.0.100/32 lvsfleet0',
      'sysctl net.ipv4.conf.lvsfleet0.rp_filter=0',
      'clamp 10.1.0.100 1440',
      '',
    ].join('\n'),
  )
  await host.agent.verifyRound()
  const writes = host.kernel.writeCount()
  const effects = host.disk.effectCount
  await host.agent.verifyRound()
  await host.agent.networkRound()
  await host.agent.drainRound()
  await host.offer(await host.controller.publish(state, { generation: 1 }))
  assert.equal(host.kernel.writeCount(), writes)
  assert.equal(host.disk.effectCount, effects)
  assert.deepEqual(host.agent.snapshot().failedOps, [])
})

test('one weight change of 10,000 costs one kernel write, no look, two small files', async () => {
  const host = await createFakeHost()
  await host.start()
  const state = largeState(10_000, 10)
  await host.offer(await host.controller.publish(state, { generation: 1 }))
  assert.equal(host.kernel.services.size, 10_000)
  const [first, ...others] = state.services
  assert.ok(first !== undefined)
  const [destinationOfFirst, ...rest] = first.destinations
  assert.ok(destinationOfFirst !== undefined)
  const changed = hostState([
    { ...first, destinations: [{ ...destinationOfFirst, weight: 7 }, ...rest] },
    ...others,
  ])
  // The other slot's copies are made in quiet times.
  for (let round = 0; round < 40; round++) await host.agent.verifyRound()
  const had = await host.controller.publish(state, { generation: 1 })
  const published = await host.controller.publish(changed, { generation: 2 })
  const before = {
    ...host.kernel.calls,
    writes: host.kernel.writeCount(),
    effects: host.disk.effectCount,
  }
  const held = new Set([...had.lists, ...had.shards].map(({ digest }) => digest))
  const news = [...published.lists, ...published.shards].filter(({ digest }) => !held.has(digest))
  const lines = [published.jws, ...news.map(({ body }) => body)]
  assert.equal(lines.length, 3, 'manifest, list, shard')
  const startedAt = process.cpuUsage()
  await host.offer(published, lines.join('\n'))
  const cpu = process.cpuUsage(startedAt)
  assert.equal(host.kernel.writeCount() - before.writes, 1)
  assert.equal(host.kernel.calls.listServices, before.listServices)
  assert.equal(host.kernel.calls.destinationsListedFor, before.destinationsListedFor)
  assert.equal(host.kernel.calls.apply - before.apply, 1)
  console.log(
    `cpu ${(cpu.user + cpu.system) / 1000} ms, disk effects ${host.disk.effectCount - before.effects}`,
  )
})
