/** Many ports as one firewall-mark service: packets always have somewhere to go, and only our marks are ours. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  describeOp,
  ip,
  markKey,
  type HostPart,
  type HostState,
  type MarkState,
} from '@lvs-fleet/contract'
import { createFakeHost, type FakeHost } from '../fakes/fake-host.ts'
import type { FakeKernel } from '../fakes/fake-kernel.ts'
import { destination, hostState, markService, service } from '../fakes/states.ts'

const VIP = '10.1.0.100'
const MARK = 0x4c00_0001
const KEY = `fwmark/${MARK}/ipv4`

const range = (from: number, to: number): MarkState => ({
  protocol: 'tcp',
  address: ip(VIP),
  ports: { from, to },
  mark: MARK,
})
const ends = (port: number) => [
  destination('10.2.0.1', { port }),
  destination('10.2.0.2', { port }),
]
const place: Partial<HostPart> = {
  addresses: [{ address: ip(VIP), place: { device: 'eth0' } }],
}
const many = (marks: readonly MarkState[] = [range(80, 99)], host: Partial<HostPart> = {}) =>
  hostState([markService(MARK, ends(0))], {
    ...place,
    lingerSeconds: 60,
    marks: [...marks],
    ...host,
  })
const few = (ports: readonly number[]) =>
  hostState(
    ports.map((port) => service(VIP, ends(port), { port })),
    place,
  )

async function running(state: HostState): Promise<FakeHost> {
  const host = await createFakeHost()
  await host.start()
  await publish(host, state, 1)
  return host
}

async function publish(host: FakeHost, state: HostState, generation: number): Promise<void> {
  const published = await host.controller.publish(state, {
    generation,
    shrinkAllowedGeneration: generation,
  })
  assert.equal((await host.offer(published)).is, 'applied')
}

/** Destinations that a new connection to this port may go to, as the kernel looks for its service. */
function answering(kernel: FakeKernel, port: number): number {
  const covering = [...kernel.marks.values()].find(
    ({ ports }) => ports.from <= port && port <= ports.to,
  )
  const marked = kernel.services.has(`fwmark/${covering?.mark}/ipv4`)
  return kernel.usable(marked ? `fwmark/${covering?.mark}/ipv4` : `tcp/${VIP}:${port}`)
}

/** Every op of a change leaves each port answered. */
function watch(host: FakeHost, ports: readonly number[]): void {
  host.kernel.afterOp = (op) => {
    for (const port of ports) {
      assert.ok(answering(host.kernel, port) > 0, `port ${port} after ${describeOp(op)}`)
    }
  }
}

async function settle(host: FakeHost): Promise<void> {
  for (let round = 0; round < 4; round++) {
    host.clock.advance(61_000)
    await host.agent.drainRound()
    await host.agent.verifyRound()
  }
}

test('marks come when what they lead to can answer', async () => {
  const host = await running(many())
  assert.deepEqual(host.kernel.journal, [
    '+ address 10.1.0.100@eth0',
    `+ service ${KEY} wrr`,
    `+ destination ${KEY} > 10.2.0.1:0 dr weight 1`,
    `+ destination ${KEY} > 10.2.0.2:0 dr weight 1`,
    `+ mark tcp/${VIP}:80-99 ${MARK}`,
  ])
  await host.agent.verifyRound()
  const writes = host.kernel.writeCount()
  await host.agent.verifyRound()
  await host.agent.networkRound()
  assert.equal(host.kernel.writeCount(), writes)
})

test('single services become a range, and a range single services, without a moment with no service', async () => {
  const host = await running(few([80, 81]))
  watch(host, [80, 81])
  await publish(host, many(), 2)
  await settle(host)
  assert.deepEqual([...host.kernel.services.keys()], [KEY])
  await publish(host, few([80, 81]), 3)
  await settle(host)
  assert.deepEqual([...host.kernel.services.keys()], [`tcp/${VIP}:80`, `tcp/${VIP}:81`])
  assert.equal(host.kernel.marks.size, 0)
  assert.equal(host.kernel.addresses.length, 1)
  assert.equal(host.agent.snapshot().driftCount, 0)
})

test('ranges are edited where they stand, the service is not touched', async () => {
  const host = await running(many([range(80, 99)]))
  host.kernel.journal.length = 0
  watch(host, [80])
  host.kernel.afterOp = undefined
  await publish(host, many([range(80, 199)]), 2)
  assert.deepEqual(host.kernel.journal, [
    `- mark tcp/${VIP}:80-99`,
    `+ mark tcp/${VIP}:80-199 ${MARK}`,
  ])
})

test('packets are not turned to a service that could not be made, and what they had stays', async () => {
  const host = await running(few([80]))
  host.kernel.fault = (op) =>
    op.kind === 'service.create' ? { code: 'ENOENT', message: 'no such scheduler' } : undefined
  await publish(host, many(), 2)
  await settle(host)
  assert.equal(host.kernel.marks.size, 0)
  assert.equal(answering(host.kernel, 80), 2)
  assert.deepEqual(
    host.agent.snapshot().failedOps.map(({ code }) => code),
    ['ENOENT'],
  )
  host.kernel.fault = undefined
  watch(host, [80])
  await settle(host)
  assert.deepEqual([...host.kernel.services.keys()], [KEY])
  assert.deepEqual(host.agent.snapshot().failedOps, [])
})

test('without nftables the services before stay, and the report says what is missing', async () => {
  const host = await running(few([80]))
  const message = 'nft is not installed: apt-get install nftables'
  host.kernel.fault = (op) => (op.kind === 'mark.set' ? { code: 'ENOTSUP', message } : undefined)
  await publish(host, many(), 2)
  await settle(host)
  assert.equal(answering(host.kernel, 80), 2)
  assert.deepEqual(host.agent.snapshot().failedOps, [
    { op: `+ mark tcp/${VIP}:80-99 ${MARK}`, code: 'ENOTSUP', message },
  ])
})

test('a range that leaves is marked and has its address while its service drains', async () => {
  const host = await running(many())
  host.kernel.setConnections(KEY, '10.2.0.1:0', 2)
  await publish(host, hostState([], { lingerSeconds: 0 }), 2)
  await host.agent.verifyRound()
  assert.equal(host.kernel.usable(KEY), 0)
  assert.equal(host.kernel.marks.size, 1)
  assert.equal(host.kernel.addresses.length, 1)
  await settle(host)
  assert.deepEqual(
    [host.kernel.services.size, host.kernel.marks.size, host.kernel.addresses.length],
    [0, 0, 0],
  )
  assert.equal(host.agent.snapshot().driftCount, 0)
})

test('marks of others are left alone, and one that is in the way is a conflict unless adopted', async () => {
  const host = await createFakeHost()
  const other: MarkState = { ...range(7000, 7099), mark: 5 }
  const inTheWay: MarkState = { ...range(80, 99), mark: 5 }
  host.kernel.marks.set(markKey(other), other)
  host.kernel.marks.set(markKey(inTheWay), inTheWay)
  await host.start()
  await publish(host, many(), 1)
  assert.match(host.agent.snapshot().failedOps[0]?.message ?? '', /set adopt: true/)
  assert.equal(host.kernel.marks.get(markKey(inTheWay))?.mark, 5)
  await publish(host, many([range(80, 99)], { adopt: true }), 2)
  assert.equal(host.kernel.marks.get(markKey(inTheWay))?.mark, MARK)
  await publish(host, hostState([]), 3)
  await settle(host)
  assert.deepEqual([...host.kernel.marks.keys()], [markKey(other)])
})

test('a mark that somebody took or changed is repaired, and counts as drift', async () => {
  const host = await running(many())
  host.kernel.marks.clear()
  await host.agent.verifyRound()
  const key = markKey(range(80, 99))
  host.kernel.marks.set(key, { ...range(80, 99), mark: 9 })
  await host.agent.verifyRound()
  assert.equal(host.kernel.marks.get(key)?.mark, MARK)
  assert.equal(host.agent.snapshot().driftCount, 2)
})

test('an agent that dies on the way goes on where it was', async () => {
  const host = await running(few([80]))
  host.kernel.fault = (op) =>
    op.kind === 'mark.set' ? { code: 'ETIMEDOUT', message: 'no answer' } : undefined
  await publish(host, many(), 2)
  host.kernel.fault = undefined
  watch(host, [80])
  await host.start()
  await settle(host)
  assert.deepEqual([...host.kernel.services.keys()], [KEY])
  assert.equal(answering(host.kernel, 80), 2)
})
