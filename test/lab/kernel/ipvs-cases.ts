/** The IPVS half of the port, against ipvsadm and packets. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import {
  ip,
  serviceKey,
  type AddressState,
  type DestinationConfig,
  type Op,
  type ServiceRef,
} from '@lvs-fleet/contract'
import fc from 'fast-check'
import type {
  ObservedDestination,
  ObservedServices,
} from '../../../services/agent/src/kernel/kernel.ts'
import type { Lab } from '../lab.ts'
import { dns, errnoRows, plainDestination, plainService, web } from './errno-rows.ts'
import { assertDone, KernelGuest } from './kernel-guest.ts'
import {
  createOps,
  editsOf,
  ipvsadmLines,
  removeOps,
  tableOf,
  updateOps,
  type Destination,
  type Service,
} from './tables.ts'

const SERVICES = 200
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)

export function ipvsCases(lab: () => Lab): void {
  it(`programs generated tables as ipvsadm reads them (SEED=${seed})`, async () => {
    const kernel = new KernelGuest(lab(), 'dir-a')
    const [table] = fc.sample(tableOf(SERVICES), { seed, numRuns: 1 })
    assert(table !== undefined)
    const [edited] = fc.sample(editsOf(table), { seed, numRuns: 1 })
    assert(edited !== undefined)

    await assertTable(kernel, createOps(table), table)
    assert.deepEqual(await lab().ipvsadm('dir-a'), ipvsadmLines(table))
    await assertTable(kernel, updateOps(edited), edited)
    assert.deepEqual(await lab().ipvsadm('dir-a'), ipvsadmLines(edited))

    assertDone(await kernel.apply(removeOps(edited)))
    assert.deepEqual(await lab().ipvsadm('dir-a'), [])
  })

  it('reports each errno of IPVS at its op, and goes on', async () => {
    const kernel = new KernelGuest(lab(), 'dir-b')
    const rows = errnoRows()
    const codes = await kernel.codes(rows.map(({ op }) => op))
    assert.deepEqual(
      rows.map(({ name }, index) => `${name}: ${codes[index]}`),
      rows.map(({ name, want }) => `${name}: ${want}`),
    )
    const [missing, empty] = await kernel.listDestinations([{ ...web, port: 9 }, dns])
    assert.deepEqual([missing, empty], [null, []])
    await lab().sh('dir-b', 'ipvsadm -A -f 7 -s rr; ipvsadm -A --sctp-service 10.2.0.100:9 -s rr')
    const { services, unnamedCount } = await kernel.listServices()
    const keys = services.map(serviceKey)
    assert.deepEqual(
      [unnamedCount, keys.includes('fwmark/7/ipv4'), keys.includes('sctp/10.2.0.100:9')],
      [0, true, true],
    )
    await lab().sh('dir-b', 'ipvsadm -C')
  })

  it('edits in place: connections and counters of a destination live on', async () => {
    const kernel = new KernelGuest(lab(), 'dir-b')
    const service: ServiceRef = { protocol: 'tcp', address: ip('10.2.0.100'), port: 80 }
    const destination = { address: ip('10.2.0.11'), port: 80 }
    const nat: DestinationConfig = { ...plainDestination, forwarding: { method: 'nat' } }
    const place: AddressState = { address: ip('10.2.0.100'), place: { holding: ip('10.2.0.10') } }
    await lab().serve('rs-b1', { ports: [80] })
    await lab().sh(
      'rs-b1',
      'sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2; ip addr add 10.2.0.100/32 dev lo',
    )
    assertDone(
      await kernel.apply([
        { kind: 'address.add', address: place },
        { kind: 'service.create', service, to: plainService },
        { kind: 'destination.create', service, destination, to: plainDestination },
      ]),
    )
    const url = 'http://10.2.0.100/'
    assert.deepEqual(await lab().get('cl-a', { url, n: 3 }), { 'rs-b1:80 from=10.1.9.2': 3 })
    await kernel.apply([
      { kind: 'destination.update', service, destination, from: plainDestination, to: nat },
      {
        kind: 'service.update',
        service,
        from: plainService,
        to: { ...plainService, scheduler: 'wlc' },
      },
    ])
    const [[found] = []] = (await kernel.listDestinations([service])).map((list) => list ?? [])
    assert.equal(found?.forwarding.method, 'nat')
    // JSON has no bigint: counters come as text.
    assert.equal(String(found?.stats.connections), '3')
    assert(Number(found?.stats.inPackets) >= 9)
    await lab().sh('rs-b1', 'ip addr del 10.2.0.100/32 dev lo')
    assertDone(
      await kernel.apply([
        { kind: 'service.remove', service },
        { kind: 'address.remove', address: place },
      ]),
    )
  })
}

/** What the port reads back after the ops is what was asked for, to the last setting. */
async function assertTable(
  kernel: KernelGuest,
  ops: readonly Op[],
  table: readonly Service[],
): Promise<void> {
  const [outcomes, services, lists] = await kernel.steps(
    { do: 'apply', ops },
    { do: 'listServices' },
    { do: 'listDestinations', services: table.map(({ ref }) => ref) },
  )
  assertDone(outcomes as readonly unknown[])
  assertServices(services as ObservedServices, table)
  for (const [index, { destinations }] of table.entries()) {
    assertDestinations((lists as readonly (readonly ObservedDestination[])[])[index], destinations)
  }
}

function assertServices(read: ObservedServices, table: readonly Service[]): void {
  assert.equal(read.unnamedCount, 0)
  assert.deepEqual(
    read.services.map((service) => canonical({ ...service, stats: undefined })).sort(),
    table.map(({ ref, config }) => canonical({ ...ref, ...config, exact: true })).sort(),
  )
}

function assertDestinations(
  read: readonly ObservedDestination[] = [],
  wanted: readonly Destination[],
): void {
  const counters = { activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 }
  assert.deepEqual(
    read.map((one) => canonical({ ...one, stats: undefined })).sort(),
    wanted
      .map(({ ref, config }) => canonical({ ...ref, ...config, ...counters, exact: true }))
      .sort(),
  )
}

/** Keys in order, so that equal settings are equal text. */
function canonical(value: Readonly<Record<string, unknown>>): string {
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify(Object.fromEntries(entries))
}
