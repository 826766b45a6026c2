/** Paths on a director: services like any other for the kernel, and none at all for whoever counts or limits them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip, type HostState, type PathState } from '@lvs-fleet/contract'
import { plainCandidate } from '../../services/agent/src/state/candidate.ts'
import { viewOf } from '../../services/agent/src/doctor/view.ts'
import { createFakeHost, type FakeHost } from '../fakes/fake-host.ts'
import { destination, hostState, pathState, service } from '../fakes/states.ts'

const PATHS = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => pathState(n))
const web = service('10.1.0.100', [destination('10.2.0.1'), destination('10.2.0.2')])
const withPaths = (paths: PathState[]): HostState => hostState([web], { paths })
const keyOf = (n: number) => `fwmark/${0x4d00_0000 + n}/ipv4`

async function running(state: HostState): Promise<FakeHost> {
  const host = await createFakeHost()
  await host.start()
  await publish(host, state, 1)
  return host
}

/** Without leave for a large removal. */
async function publish(host: FakeHost, state: HostState, generation: number): Promise<void> {
  const offer = await host.offer(await host.controller.publish(state, { generation }))
  assert.equal(offer.is, 'applied')
}

test('paths get their services after those of clients, each with its one destination', async () => {
  const host = await running(
    withPaths([pathState(1), pathState(2, { port: 8080, forwarding: { method: 'nat' } })]),
  )
  assert.deepEqual(host.kernel.journal, [
    '+ service tcp/10.1.0.100:80 wrr',
    `+ probe ${keyOf(1)} rr`,
    `+ probe ${keyOf(2)} rr`,
    '+ destination tcp/10.1.0.100:80 > 10.2.0.1:80 dr weight 1',
    '+ destination tcp/10.1.0.100:80 > 10.2.0.2:80 dr weight 1',
    `+ destination ${keyOf(1)} > 10.2.0.1:0 tun ipip weight 1`,
    `+ destination ${keyOf(2)} > 10.2.0.2:8080 nat weight 1`,
  ])
})

test('reports and the doctor know virtual services only', async () => {
  const host = await running(withPaths(PATHS))
  assert.deepEqual(host.agent.snapshot().counts, { services: 1, destinations: 2 })
  assert.deepEqual(viewOf(host.agent).services, [web])
  await publish(host, withPaths(PATHS.slice(3)), 2)
  assert.deepEqual(host.agent.snapshot().counts, { services: 1, destinations: 2 })
})

test('the removal limit lets any number of paths go, at once, and holds virtual services as ever', async () => {
  const host = await running(withPaths(PATHS))
  await publish(host, withPaths([]), 2)
  assert.deepEqual([...host.kernel.services.keys()], ['tcp/10.1.0.100:80'])
  await publish(host, withPaths(PATHS), 3)
  const empty = await host.controller.publish(hostState([], { paths: PATHS }), { generation: 4 })
  const held = await host.offer(empty)
  assert.equal(held.is === 'rejected' && held.rejection.code, 'shrink-held')
  assert.match(held.is === 'rejected' ? held.rejection.detail : '', /^1 of 1 virtual services/)
})

test('nor do they count where the last good state is lost and only the ledger knows what was carried', async () => {
  const host = await running(withPaths(PATHS))
  for (const file of host.disk.files.keys()) {
    if (!file.startsWith('ledger-')) host.disk.files.delete(file)
  }
  await host.start()
  assert.equal(host.agent.inForce.inForce.source, 'none')
  await publish(host, withPaths([]), 2)
  assert.deepEqual([...host.kernel.services.keys()], ['tcp/10.1.0.100:80'])
})

test('a path that somebody removed or bent comes back', async () => {
  const host = await running(withPaths(PATHS))
  const [first] = PATHS
  assert.ok(first !== undefined)
  const ref = { protocol: 'fwmark', firewallMark: first.mark, family: 'ipv4' } as const
  host.kernel.byHand({ kind: 'service.remove', service: ref })
  assert.equal((await host.agent.verifyRound()).drift, 2)
  assert.equal(host.kernel.usable(keyOf(1)), 1)
})

test('a path whose service is not ours is not measured', async () => {
  const host = await createFakeHost()
  await host.start()
  const ref = { protocol: 'fwmark', firewallMark: 0x4d00_0001, family: 'ipv4' } as const
  const config = { scheduler: 'wlc', flags: [], persistence: null }
  host.kernel.byHand({ kind: 'service.create', service: ref, to: config })
  await publish(host, withPaths([pathState(1), pathState(2)]), 1)
  assert.deepEqual(host.agent.standingPaths(), [pathState(2)])
})

test('a path that leads elsewhere leads there at once', async () => {
  const host = await running(withPaths([pathState(1)]))
  await publish(host, withPaths([pathState(1, { address: ip('10.2.0.9') })]), 2)
  await host.agent.drainRound()
  const ends = [...(host.kernel.services.get(keyOf(1))?.destinations.keys() ?? [])]
  assert.deepEqual(ends, ['10.2.0.9:0'])
})

test('a plain file brings its paths along', async () => {
  const host = await createFakeHost()
  await host.start()
  const offer = await host.agent.accept(plainCandidate(withPaths([pathState(1)])), {
    source: 'file',
  })
  assert.equal(offer.is, 'applied')
  assert.deepEqual(host.agent.standingPaths(), [pathState(1)])
})
