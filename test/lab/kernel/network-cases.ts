/** Devices, addresses and their announcements, against ip. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ip, type AddressState, type DeviceState, type Op } from '@lvs-fleet/contract'
import type { Lab } from '../lab.ts'
import { assertNetwork, ipJson } from './ip-json.ts'
import { assertDone, KernelGuest, nodeCommand } from './kernel-guest.ts'

export function networkCases(lab: () => Lab): void {
  it('makes and removes devices as ip shows them', async () => {
    const kernel = new KernelGuest(lab(), 'rs-a1')
    const devices: readonly DeviceState[] = [
      { name: 'lvsf-dummy', kind: 'dummy' },
      { name: 'lvsf-ipip', kind: 'ipip', local: ip('10.1.0.11'), remote: ip('10.1.0.10') },
      { name: 'lvsf-sit', kind: 'sit', local: ip('10.1.0.11'), remote: ip('10.1.0.10') },
      { name: 'lvsf-ip6tnl', kind: 'ip6tnl', local: ip('fd01::11'), remote: ip('fd01::10') },
    ]
    assertDone(await kernel.apply(devices.map((device) => ({ kind: 'device.create', device }))))
    const shown = await ipJson(lab(), 'rs-a1')
    for (const device of devices) {
      const link = shown.find(({ ifname }) => ifname === device.name)
      assert(link !== undefined && link.flags.includes('UP'), device.name)
      assert.equal(link.linkinfo?.info_kind, device.kind)
      if (device.kind === 'dummy') continue
      assert.partialDeepStrictEqual(link.linkinfo?.info_data, {
        local: device.local,
        remote: device.remote,
        ttl: 64,
      })
    }
    const sixth = shown.find(({ ifname }) => ifname === 'lvsf-ip6tnl')?.linkinfo?.info_data
    assert.equal(sixth?.['proto'], 'any')
    assert.equal(sixth?.['ip6_tnl_f_ign_encap_limit'], true)
    await assertNetwork(kernel, lab(), 'rs-a1')

    const twice = devices.map((device): Op => ({ kind: 'device.create', device }))
    assert.deepEqual(await kernel.codes(twice), ['EEXIST', 'EEXIST', 'EEXIST', 'EEXIST'])
    const wrong: readonly Op[] = [
      { kind: 'device.remove', device: { name: 'lvsf-sit', kind: 'dummy' } },
      { kind: 'device.remove', device: { name: 'eth0', kind: 'dummy' } },
      { kind: 'device.remove', device: { name: 'lvsf-none', kind: 'dummy' } },
      {
        kind: 'device.create',
        device: {
          name: 'lvsf-mixed',
          kind: 'ipip',
          local: ip('10.1.0.11'),
          remote: ip('fd01::10'),
        },
      },
    ]
    assert.deepEqual(await kernel.codes(wrong), ['EINVAL', 'EINVAL', 'ENODEV', 'EINVAL'])
    assertDone(await kernel.apply(devices.map((device) => ({ kind: 'device.remove', device }))))
    const left = (await ipJson(lab(), 'rs-a1')).filter(({ ifname }) => ifname.startsWith('lvsf-'))
    assert.deepEqual(left, [])
  })

  it('places addresses as ip shows them, IPv6 deprecated and without detection', async () => {
    const kernel = new KernelGuest(lab(), 'rs-a2')
    const states: readonly AddressState[] = [
      { address: ip('10.1.0.100'), place: { holding: ip('10.1.0.12') } },
      { address: ip('fd01::100'), place: { holding: ip('fd01::12') } },
      // Held only since the line above.
      { address: ip('fd01::101'), place: { holding: ip('fd01::100') } },
      { address: ip('10.1.0.101'), place: { device: 'lvsf-d' } },
      { address: ip('fd01::102'), place: { device: 'lvsf-t' } },
    ]
    const added: readonly Op[] = [
      { kind: 'device.create', device: { name: 'lvsf-d', kind: 'dummy' } },
      {
        kind: 'device.create',
        device: { name: 'lvsf-t', kind: 'ip6tnl', local: ip('fd01::12'), remote: ip('fd01::10') },
      },
      ...states.map((address): Op => ({ kind: 'address.add', address })),
    ]
    assertDone(await kernel.apply(added))
    const shown = (await ipJson(lab(), 'rs-a2')).flatMap(({ ifname, addr_info: list }) =>
      list.map((one) => ({ ifname, ...one })),
    )
    const places = ['eth0', 'eth0', 'eth0', 'lvsf-d', 'lvsf-t']
    for (const [index, { address }] of states.entries()) {
      const found = shown.find(({ local }) => local === address)
      assert.equal(found?.ifname, places[index], address)
      assert.equal(found?.prefixlen, address.includes(':') ? 128 : 32)
      if (!address.includes(':')) continue
      assert.partialDeepStrictEqual(found, { preferred_life_time: 0, nodad: true })
    }
    await assertNetwork(kernel, lab(), 'rs-a2')
    assert.match(
      await lab().sh('rs-a2', 'ip -6 route get fd02::11'),
      /src fd01::12 /,
      'a deprecated address is never the source',
    )

    const nowhere = (place: AddressState['place']): Op => ({
      kind: 'address.add',
      address: { address: ip('10.1.0.109'), place },
    })
    const failures = await kernel.apply([
      ...states.slice(0, 2).map((address): Op => ({ kind: 'address.add', address })),
      nowhere({ device: 'lvsf-x' }),
      nowhere({ holding: ip('10.99.0.1') }),
      ...states.map((address): Op => ({ kind: 'address.remove', address })),
      {
        kind: 'address.remove',
        address: { address: ip('10.1.0.101'), place: { device: 'lvsf-d' } },
      },
    ])
    assert.deepEqual(
      failures.map((failure) => failure?.code ?? 'ok'),
      ['EEXIST', 'EEXIST', 'ENODEV', 'ENODEV', 'ok', 'ok', 'ok', 'ok', 'ok', 'EADDRNOTAVAIL'],
    )
    assert.equal(failures[3]?.message, 'no interface holds 10.99.0.1, so 10.1.0.109 has no place')
  })

  it("gives the kernel's own words where it has some", async () => {
    const kernel = new KernelGuest(lab(), 'rs-a2')
    // A kind from the future, which our types do not know.
    const device = {
      name: 'lvsf-new',
      kind: 'carrier-pigeon',
      local: '10.1.0.12',
      remote: '10.1.0.10',
    }
    const future = { kind: 'device.create', device } as unknown as Op
    assert.deepEqual(await kernel.apply([future]), [
      { code: 'ENOTSUP', message: 'Unknown device type' },
    ])
  })

  it('tells of changes by others, once for a burst, and not of its own', async () => {
    const kernel = new KernelGuest(lab(), 'rs-b2')
    const own: Op = {
      kind: 'address.add',
      address: { address: ip('10.2.0.120'), place: { device: 'lo' } },
    }
    const burst = `for i in 1 2 3 4 5; do echo "addr add 10.2.3.$i/32 dev lo"; done | ip -batch -`
    const results = await kernel.steps(
      { do: 'listen', ops: [], command: burst, waitMs: 300 },
      { do: 'listen', ops: [own], command: '', waitMs: 300 },
      { do: 'writeCount' },
    )
    assert.deepEqual(results, [1, 0, 1])
  })

  it('survives a burst of changes that overruns its receive buffer', async () => {
    const cured = await lab().run('cl-a', nodeCommand('overrun', 'cured'))
    assert.deepEqual([cured.code, cured.stdout], [0, 'survived 2 calls\n'], cured.stderr)
  })

  it('would be killed by the same burst without its cure', async () => {
    // If this fails, the package has been repaired and the cure may go.
    const bare = await lab().run(
      'cl-b',
      `ulimit -c 0; exec ${nodeCommand('overrun', 'bare').join(' ')}`,
    )
    assert.equal(bare.stdout, '')
    assert.match(bare.stderr, /terminate called after throwing/)
    assert.notEqual(bare.code, 0)
  })
}
