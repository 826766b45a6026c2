/** An address keeps its place however the state names it: what is ours stays, moves without a gap, and goes when it leaves. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostPrefixLength, ip, type AddressPlace, type HostState } from '@lvs-fleet/contract'
import { createFakeHost, type FakeHost } from '../fakes/fake-host.ts'
import { destination, hostState, service } from '../fakes/states.ts'

const VIP = ip('10.1.0.100')
const OLD = ip('10.1.0.10')
const NEW = ip('10.1.0.20')
const LINGER_SECONDS = 60

const at = (place: AddressPlace) =>
  hostState([service(VIP, [destination('10.2.0.1')])], {
    addresses: [{ address: VIP, place }],
    lingerSeconds: LINGER_SECONDS,
  })

let generation = 0
async function publish(host: FakeHost, state: HostState) {
  generation += 1
  const limits = { generation, shrinkAllowedGeneration: generation }
  return host.offer(await host.controller.publish(state, limits))
}

/** Its eth0 has `addresses`, each of a network of 24 bits. */
async function running(addresses: readonly string[], state: HostState): Promise<FakeHost> {
  const host = await createFakeHost()
  for (const address of addresses) hold(host, address)
  await host.start()
  await publish(host, state)
  assert.deepEqual(host.agent.snapshot().failedOps, [])
  return host
}

function hold(host: FakeHost, address: string): void {
  host.kernel.byHand({
    kind: 'address.add',
    address: { address: ip(address), place: { device: 'eth0' } },
  })
  const last = host.kernel.addresses.pop()
  if (last !== undefined) host.kernel.addresses.push({ ...last, prefixLength: 24 })
}

const vipsOf = ({ kernel }: FakeHost) => kernel.addresses.filter(({ address }) => address === VIP)

async function afterLinger(host: FakeHost): Promise<void> {
  for (let round = 0; round < 3; round++) {
    host.clock.advance(LINGER_SECONDS * 1_000)
    await host.agent.verifyRound()
    await host.agent.drainRound()
  }
}

const RENAMED: readonly {
  readonly name: string
  readonly from: AddressPlace
  readonly to: AddressPlace
  readonly meanwhile?: (host: FakeHost) => void
}[] = [
  { name: 'beside another address of the interface', from: { holding: OLD }, to: { holding: NEW } },
  { name: 'by the interface itself', from: { holding: OLD }, to: { device: 'eth0' } },
  { name: 'beside an address, no more by name', from: { device: 'eth0' }, to: { holding: NEW } },
  {
    name: 'beside another address, and the host has lost the one before',
    from: { holding: OLD },
    to: { holding: NEW },
    meanwhile: (host) => {
      const index = host.kernel.addresses.findIndex(({ address }) => address === OLD)
      host.kernel.addresses.splice(index, 1)
    },
  },
]

for (const { name, from, to, meanwhile } of RENAMED) {
  test(`a VIP that the state places ${name} stays where it is and is ours`, async () => {
    const host = await running([OLD, NEW], at(from))
    meanwhile?.(host)
    const writes = host.kernel.writeCount()
    await publish(host, at(to))
    assert.deepEqual(host.agent.snapshot().failedOps, [])
    await afterLinger(host)
    assert.equal(host.kernel.writeCount(), writes, 'the kernel was asked for nothing')
    assert.equal(vipsOf(host).length, 1)
    // Ours still: it leaves with the state, and its services.
    await publish(host, hostState([], { lingerSeconds: LINGER_SECONDS }))
    await afterLinger(host)
    assert.deepEqual(vipsOf(host), [])
  })
}

test('a VIP that moves to another interface stands on both, and then on the new one', async () => {
  const device = { name: 'lvsfleet0', kind: 'dummy' } as const
  const host = await running([OLD], { ...at({ device: device.name }), devices: [device] })
  await publish(host, { ...at({ holding: OLD }), devices: [device] })
  assert.equal(vipsOf(host).length, 2)
  await afterLinger(host)
  const eth0 = host.kernel.links.get('eth0')?.index
  assert.deepEqual(
    vipsOf(host).map(({ linkIndex }) => linkIndex),
    [eth0],
  )
})

test('what somebody else put on the interface is a conflict, though we have the same address on a device', async () => {
  const device = { name: 'lvsfleet0', kind: 'dummy' } as const
  const host = await running([OLD], { ...at({ device: device.name }), devices: [device] })
  host.kernel.byHand({
    kind: 'address.add',
    address: { address: VIP, place: { device: 'eth0' } },
  })
  await publish(host, { ...at({ holding: OLD }), devices: [device] })
  assert.deepEqual(
    host.agent.snapshot().failedOps.map(({ code }) => code),
    ['conflict'],
  )
  await publish(host, hostState([], { lingerSeconds: LINGER_SECONDS }))
  await afterLinger(host)
  assert.deepEqual(
    vipsOf(host).map(({ prefixLength }) => prefixLength),
    [hostPrefixLength(VIP)],
    'not ours to remove',
  )
})
