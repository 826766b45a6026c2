/** What holds for every state and every kernel. Seeds are printed by fast-check when one fails. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  describeForwarding,
  destinationKey,
  ip,
  serviceKey,
  type AddressPlace,
  type Forwarding,
  type HostState,
  type Op,
  type ServiceState,
} from '@lvs-fleet/contract'
import { createFakeHost, type FakeHost } from '../fakes/fake-host.ts'
import { destination, hostState, service } from '../fakes/states.ts'

const RUNS = { numRuns: 200 }

const destinationArbitrary = fc.record({
  n: fc.integer({ min: 1, max: 6 }),
  weight: fc.constantFrom(0, 0, 1, 5),
  forwarding: fc.constantFrom<Forwarding>(
    { method: 'dr' },
    { method: 'tun', tunnel: { type: 'ipip' } },
    { method: 'tun', tunnel: { type: 'gre', checksum: true } },
    { method: 'tun', tunnel: { type: 'gue', port: 6080, checksum: 'csum' } },
  ),
})
const serviceArbitrary = fc.record({
  n: fc.integer({ min: 1, max: 5 }),
  scheduler: fc.constantFrom('wrr' as const, 'wlc' as const),
  drainSeconds: fc.constantFrom(0, 0, 30),
  destinations: fc.uniqueArray(destinationArbitrary, { selector: (d) => d.n, maxLength: 5 }),
})
/** The addresses of the host itself; VIPs are placed beside one of them, or on their interface by its name. */
const OWN = [ip('10.1.1.1'), ip('10.1.1.2')] as const
const placeArbitrary = fc.constantFrom<AddressPlace>(
  { device: 'eth0' },
  { holding: OWN[0] },
  { holding: OWN[1] },
)
const stateArbitrary: fc.Arbitrary<HostState> = fc
  .tuple(fc.uniqueArray(serviceArbitrary, { selector: (s) => s.n, maxLength: 5 }), placeArbitrary)
  .map(([services, place]) =>
    hostState(
      services.map((s) =>
        service(
          `10.1.0.${s.n}`,
          s.destinations.map((d) =>
            destination(`10.2.0.${d.n}`, { weight: d.weight, forwarding: d.forwarding }),
          ),
          { scheduler: s.scheduler, drainSeconds: s.drainSeconds },
        ),
      ),
      {
        addresses: services.map((s) => ({
          address: ip(`10.1.0.${s.n}`),
          place,
        })),
      },
    ),
  )

async function newHost(): Promise<FakeHost> {
  const host = await createFakeHost()
  for (const address of OWN) {
    const place = { device: 'eth0' }
    host.kernel.byHand({ kind: 'address.add', address: { address, place } })
  }
  return host
}

async function applyState(host: FakeHost, state: HostState, generation: number): Promise<void> {
  const published = await host.controller.publish(state, {
    generation,
    shrinkAllowedGeneration: generation,
  })
  assert.equal((await host.offer(published)).is, 'applied')
}

/** Kernel as a map from service to destinations, foreign ones included. */
function shapeOf(host: FakeHost): Record<string, string[]> {
  const shape: Record<string, string[]> = {}
  for (const [key, { config, destinations }] of host.kernel.services) {
    const ends = [...destinations].map(
      ([end, d]) => `${end} ${describeForwarding(d.config.forwarding)} ${d.config.weight}`,
    )
    shape[`${key} ${config.scheduler}`] = ends.toSorted()
  }
  return shape
}

function shapeWanted(services: readonly ServiceState[]): Record<string, string[]> {
  const shape: Record<string, string[]> = {}
  for (const s of services) {
    const ends = s.destinations.map(
      (d) => `${destinationKey(d)} ${describeForwarding(d.forwarding)} ${d.weight}`,
    )
    shape[`${serviceKey(s)} ${s.scheduler}`] = ends.toSorted()
  }
  return shape
}

async function settle(host: FakeHost): Promise<void> {
  for (let round = 0; round < 4; round++) {
    host.clock.advance(61_000)
    await host.agent.drainRound()
    await host.agent.verifyRound()
  }
}

const FOREIGN: ServiceState[] = [
  service('10.9.0.1', [destination('10.2.0.1')]),
  service('10.9.0.2', [destination('10.2.0.2')], { protocol: 'udp' }),
]

function addForeign(host: FakeHost, services: readonly ServiceState[]): void {
  for (const s of services) {
    host.kernel.byHand({ kind: 'service.create', service: s, to: s })
    for (const d of s.destinations)
      host.kernel.byHand({ kind: 'destination.create', service: s, destination: d, to: d })
  }
}

test('from any state to any other the kernel ends as desired plus what is not ours, then nothing is left to do', async () => {
  await fc.assert(
    fc.asyncProperty(stateArbitrary, stateArbitrary, async (first, second) => {
      const host = await newHost()
      addForeign(host, FOREIGN)
      await host.start()
      await applyState(host, first, 1)
      await applyState(host, second, 2)
      await settle(host)
      assert.deepEqual(shapeOf(host), { ...shapeWanted(second.services), ...shapeWanted(FOREIGN) })
      assert.deepEqual(
        host.kernel.addresses.map((a) => a.address).toSorted(),
        [...OWN, ...second.addresses.map((a) => a.address)].toSorted(),
      )
      // A VIP of both states was never away, whatever the second calls its place.
      for (const { address } of second.addresses) {
        if (!first.addresses.some((before) => before.address === address)) continue
        const removal = `- address ${address}@`
        assert.ok(!host.kernel.journal.some((line) => line.startsWith(removal)), address)
      }
      const writes = host.kernel.writeCount()
      await host.agent.verifyRound()
      await host.agent.drainRound()
      assert.equal(host.kernel.writeCount(), writes)
    }),
    RUNS,
  )
})

test('whatever hands do to what is ours is undone, and nothing else is touched', async () => {
  const editArbitrary = fc.record({
    kind: fc.constantFrom('weight', 'remove', 'add', 'scheduler', 'drop', 'flush'),
    pick: fc.nat(),
  })
  await fc.assert(
    fc.asyncProperty(
      stateArbitrary,
      fc.array(editArbitrary, { maxLength: 6 }),
      async (state, edits) => {
        const host = await newHost()
        addForeign(host, FOREIGN)
        await host.start()
        await applyState(host, state, 1)
        for (const { kind, pick } of edits) {
          const ours = [...host.kernel.services.values()].filter(
            (s) => !serviceKey(s).includes('/10.9.'),
          )
          const target = ours[pick % Math.max(ours.length, 1)]
          if (target === undefined) continue
          const [first] = target.destinations.values()
          if (kind === 'weight' && first !== undefined)
            first.config = { ...first.config, weight: 99 }
          if (kind === 'remove' && first !== undefined)
            target.destinations.delete(destinationKey(first))
          if (kind === 'scheduler') target.config = { ...target.config, scheduler: 'sed' }
          if (kind === 'drop') host.kernel.services.delete(serviceKey(target))
          if (kind === 'flush') for (const s of ours) host.kernel.services.delete(serviceKey(s))
          if (kind === 'add') {
            const extra = destination(`10.3.0.${(pick % 200) + 1}`)
            if (!target.destinations.has(destinationKey(extra))) {
              host.kernel.byHand({
                kind: 'destination.create',
                service: target,
                destination: extra,
                to: extra,
              })
            }
          }
        }
        await settle(host)
        assert.deepEqual(shapeOf(host), { ...shapeWanted(state.services), ...shapeWanted(FOREIGN) })
      },
    ),
    RUNS,
  )
})

test('no prefix of the ops leaves a wanted service without a usable destination that it has before and after', async () => {
  await fc.assert(
    fc.asyncProperty(stateArbitrary, stateArbitrary, async (first, second) => {
      const host = await newHost()
      await host.start()
      await applyState(host, first, 1)
      const usableIn = (state: HostState, key: string): boolean =>
        state.services.some(
          (s) => serviceKey(s) === key && s.destinations.some((d) => d.weight > 0),
        )
      const keys = second.services
        .map(serviceKey)
        .filter((key) => usableIn(first, key) && usableIn(second, key))
      host.kernel.afterOp = (op: Op) => {
        for (const key of keys)
          assert.ok(host.kernel.usable(key) > 0, `${key} is empty after ${op.kind}`)
      }
      await applyState(host, second, 2)
      await settle(host)
    }),
    RUNS,
  )
})

test('nor when creates fail: what cannot be replaced is not removed', async () => {
  await fc.assert(
    fc.asyncProperty(stateArbitrary, stateArbitrary, async (first, second) => {
      const host = await newHost()
      await host.start()
      await applyState(host, first, 1)
      const usable = new Map(
        second.services.map((s) => [serviceKey(s), host.kernel.usable(serviceKey(s))]),
      )
      host.kernel.fault = (op) =>
        op.kind === 'destination.create' ? { code: 'ENOMEM', message: 'no memory' } : undefined
      await applyState(host, second, 2)
      await settle(host)
      for (const s of second.services) {
        const key = serviceKey(s)
        const quiesced = s.destinations.filter((d) => d.weight === 0).length
        if (s.destinations.length > 0 && (usable.get(key) ?? 0) > 0 && quiesced === 0)
          assert.ok(host.kernel.usable(key) > 0, key)
      }
    }),
    RUNS,
  )
})
