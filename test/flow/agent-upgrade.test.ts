/**
 * An upgrade of the agent is a restart on the same disk: the next version takes over ledger, state and identity and writes nothing to the
 * kernel. What the package does about it: test/package; under traffic: test/lab/fleet/upgrade.thorough.ts.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip, type HostPart } from '@lvs-fleet/contract'
import { createFakeHost, type FakeHost } from '../fakes/fake-host.ts'
import { destination, hostState, service } from '../fakes/states.ts'

const VIP = '10.1.0.100'
const part: Partial<HostPart> = {
  devices: [{ name: 'lvsfleet0', kind: 'dummy' }],
  addresses: [{ address: ip(VIP), place: { device: 'lvsfleet0' } }],
  sysctls: [{ key: 'net.ipv4.conf.lvsfleet0.rp_filter', value: '0', accept: ['2'] }],
  clamps: [{ address: ip(VIP), mss: 1440 }],
}
const first = destination('10.1.0.11', { weight: 3 })
const state = hostState([service(VIP, [first, destination('10.1.0.12')])], part)

async function running(): Promise<FakeHost> {
  const host = await createFakeHost()
  await host.start()
  await host.offer(await host.controller.publish(state, { generation: 1 }))
  return host
}

/** The next version on the same kernel and disk. */
async function upgraded(host: FakeHost, to: string): Promise<FakeHost> {
  const { kernel, disk, clock, controller } = host
  const next = await createFakeHost({ kernel, disk, clock, controller, agentVersion: to })
  await next.start()
  return next
}

for (const to of ['0.2.0', '0.0.9']) {
  test(`to ${to} writes nothing to the kernel, then or in later rounds, and tells the new version`, async () => {
    const host = await running()
    const { kernel } = host
    const [before, writes] = [kernel.describe(), kernel.writeCount()]
    const next = await upgraded(host, to)
    await next.agent.verifyRound()
    await next.agent.networkRound()
    await next.agent.drainRound()
    await next.offer(await next.controller.publish(state, { generation: 1 }))
    assert.equal(kernel.describe(), before)
    assert.equal(kernel.writeCount(), writes)
    assert.equal(next.agent.snapshot().agentVersion, to)
    assert.equal(next.agent.snapshot().applied?.generation, 1)
  })
}

test('in the middle of a drain forgets it not, and cuts it not short', async () => {
  const host = await running()
  const { kernel, clock, controller } = host
  kernel.setConnections('tcp/10.1.0.100:80', '10.1.0.12:80', 5)
  const less = hostState([service(VIP, [first])], part)
  await host.offer(await controller.publish(less, { generation: 2, shrinkAllowedGeneration: 2 }))
  const draining = kernel.describe()
  assert.match(draining, /-r 10\.1\.0\.12:80 dr -w 0/)
  const writes = kernel.writeCount()
  const next = await upgraded(host, '0.2.0')
  assert.equal(kernel.describe(), draining)
  assert.equal(kernel.writeCount(), writes)
  assert.equal(next.agent.snapshot().drainCount, 1)
  clock.advance(61_000)
  await next.agent.drainRound()
  assert.doesNotMatch(kernel.describe(), /10\.1\.0\.12/)
})
