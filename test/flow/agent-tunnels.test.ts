/** Decapsulation devices, GUE ports and source NAT on a host: made, edited in place, shared with others, taken back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip, type DeviceState, type HostPart } from '@lvs-fleet/contract'
import { createFakeHost, type FakeHost } from '../fakes/fake-host.ts'
import { hostState } from '../fakes/states.ts'

const RIP = ip('10.2.0.11')
const guePorts = [{ address: RIP, port: 6080 }]
const gre = (checksum: boolean): DeviceState => ({
  name: 'lvsf-1',
  kind: 'gre',
  local: RIP,
  remote: ip('10.1.0.10'),
  checksum,
})

async function publish(host: FakeHost, part: Partial<HostPart>, generation: number): Promise<void> {
  const published = await host.controller.publish(hostState([], part), { generation })
  assert.equal((await host.offer(published)).is, 'applied')
}

async function started(): Promise<FakeHost> {
  const host = await createFakeHost()
  await host.start()
  return host
}

const codes = (host: FakeHost) => host.agent.snapshot().failedOps.map(({ code }) => code)

test('makes devices before ports, takes ports back before devices, after their linger', async () => {
  const host = await started()
  await publish(host, { devices: [gre(true)], guePorts, lingerSeconds: 10 }, 1)
  assert.deepEqual(host.kernel.journal, [
    '+ device lvsf-1 gre local 10.2.0.11 remote 10.1.0.10 csum',
    '+ gue port 10.2.0.11:6080',
  ])
  await publish(host, {}, 2)
  assert.equal(host.kernel.guePorts.size, 1, 'connections that drain still need it')
  host.clock.advance(11_000)
  await host.agent.verifyRound()
  assert.deepEqual(host.kernel.journal.slice(2), [
    '- gue port 10.2.0.11:6080',
    '- device lvsf-1 gre local 10.2.0.11 remote 10.1.0.10 csum',
  ])
  assert.equal(host.agent.snapshot().driftCount, 0)
})

test('edits the checksum of a device where it stands', async () => {
  const host = await started()
  await publish(host, { devices: [gre(false)] }, 1)
  const index = host.kernel.links.get('lvsf-1')?.index
  await publish(host, { devices: [gre(true)] }, 2)
  assert.partialDeepStrictEqual(host.kernel.links.get('lvsf-1'), { index, checksum: true })
  await publish(host, {}, 3)
  assert.ok(!host.kernel.links.has('lvsf-1'))
})

test('repairs a port that somebody closed and a checksum that somebody changed', async () => {
  const host = await started()
  await publish(host, { devices: [gre(true)], guePorts }, 1)
  host.kernel.byHand({ kind: 'gue-port.close', guePort: { address: RIP, port: 6080 } })
  host.kernel.byHand({ kind: 'device.update', device: gre(false), from: gre(true) })
  await host.agent.verifyRound()
  assert.ok(host.kernel.guePorts.has('10.2.0.11:6080'))
  assert.equal(host.kernel.links.get('lvsf-1')?.checksum, true)
  assert.equal(host.agent.snapshot().driftCount, 2)
})

const STRANGERS = [
  {
    name: 'the same port',
    key: '10.2.0.11:6080',
    port: { address: RIP, family: 'ipv4', port: 6080, exact: true },
    adopt: false,
    want: { failed: ['conflict'], goesWithUs: false },
  },
  {
    name: 'the same port, to be adopted',
    key: '10.2.0.11:6080',
    port: { address: RIP, family: 'ipv4', port: 6080, exact: true },
    adopt: true,
    want: { failed: [], goesWithUs: true },
  },
  {
    name: 'a port for every address',
    key: '*:6080',
    port: { address: null, family: 'ipv4', port: 6080, exact: true },
    adopt: false,
    want: { failed: ['conflict'], goesWithUs: false },
  },
  {
    name: 'a port for every address, which adoption makes good enough and never ours',
    key: '*:6080',
    port: { address: null, family: 'ipv4', port: 6080, exact: true },
    adopt: true,
    want: { failed: [], goesWithUs: false },
  },
  {
    name: 'another encapsulation on the port, which adoption cannot mend',
    key: '10.2.0.11:6080',
    port: { address: RIP, family: 'ipv4', port: 6080, exact: false },
    adopt: true,
    want: { failed: ['conflict'], goesWithUs: false },
  },
  {
    name: 'the port of the other family, which is no neighbour',
    key: '*6:6080',
    port: { address: null, family: 'ipv6', port: 6080, exact: true },
    adopt: false,
    want: { failed: [], goesWithUs: false },
  },
] as const
for (const { name, key, port, adopt, want } of STRANGERS) {
  test(`found there: ${name}`, async () => {
    const host = await started()
    host.kernel.guePorts.set(key, port)
    await publish(host, { guePorts, adopt }, 1)
    assert.deepEqual(codes(host), want.failed)
    assert.deepEqual(host.kernel.guePorts.get(key), port, 'it was not touched')
    await publish(host, {}, 2)
    await host.agent.verifyRound()
    assert.equal(host.kernel.guePorts.has(key), !want.goesWithUs)
    assert.equal(host.kernel.guePorts.size, want.goesWithUs ? 0 : 1)
    assert.deepEqual(codes(host), [])
  })
}

const pair = { vip: ip('10.1.0.100'), server: RIP }

test('source NAT is made, repaired, kept over a restart, and taken back after its linger', async () => {
  const host = await started()
  await publish(host, { sourceNats: [pair], lingerSeconds: 10 }, 1)
  host.kernel.sourceNats.clear()
  await host.agent.verifyRound()
  assert.deepEqual([...host.kernel.sourceNats.values()], [pair])
  assert.equal(host.agent.snapshot().driftCount, 1)
  await host.start()
  const writes = host.kernel.writeCount()
  await host.agent.verifyRound()
  assert.equal(host.kernel.writeCount(), writes)
  await publish(host, {}, 2)
  assert.equal(host.kernel.sourceNats.size, 1)
  host.clock.advance(11_000)
  await host.agent.verifyRound()
  assert.equal(host.kernel.sourceNats.size, 0)
})

test('source NAT that stands and is not ours is a conflict, unless it is to be adopted', async () => {
  const host = await started()
  host.kernel.byHand({ kind: 'source-nat.add', sourceNat: pair })
  await publish(host, { sourceNats: [pair] }, 1)
  assert.deepEqual(codes(host), ['conflict'])
  await publish(host, { sourceNats: [pair], adopt: true }, 2)
  assert.deepEqual(codes(host), [])
  await publish(host, {}, 3)
  await host.agent.verifyRound()
  assert.equal(host.kernel.sourceNats.size, 0)
})

test('owns over a restart what it made before it', async () => {
  const host = await started()
  await publish(host, { devices: [gre(true)], guePorts }, 1)
  await host.start()
  const writes = host.kernel.writeCount()
  await host.agent.verifyRound()
  assert.equal(host.kernel.writeCount(), writes)
  await publish(host, {}, 2)
  await host.agent.verifyRound()
  assert.equal(host.kernel.guePorts.size, 0)
  assert.ok(!host.kernel.links.has('lvsf-1'))
})

test('a port that could not be opened is said with its reason, tried again, and not ours meanwhile', async () => {
  const host = await started()
  const missing = { code: 'EPROTONOSUPPORT', message: 'fou is not loaded: modprobe fou' }
  host.kernel.fault = (op) => (op.kind === 'gue-port.open' ? missing : undefined)
  await publish(host, { guePorts }, 1)
  assert.partialDeepStrictEqual(host.agent.snapshot().failedOps, [
    { op: '+ gue port 10.2.0.11:6080', ...missing },
  ])
  host.kernel.fault = undefined
  host.clock.advance(120_000)
  await host.agent.verifyRound()
  assert.deepEqual(codes(host), [])
  assert.equal(host.kernel.guePorts.size, 1)
})
