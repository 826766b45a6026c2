/** What only the doctor asks the kernel: who else answers ARP, and which offloads are on. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ip } from '@lvs-fleet/contract'
import type { Lab } from '../lab.ts'
import { KernelGuest } from './kernel-guest.ts'

export function inspectCases(lab: () => Lab): void {
  it('hears another host answer ARP for an own address, and leaves no neighbour behind', async () => {
    const kernel = new KernelGuest(lab(), 'dir-a')
    const own = ['10.1.0.140', '10.1.0.141'].map(ip)
    for (const address of own) await lab().sh('dir-a', `ip addr add ${address}/32 dev eth0`)
    // A real server that answers ARP for what it holds on any interface.
    await lab().sh(
      'rs-a1',
      `sysctl -qw net.ipv4.conf.all.arp_ignore=0; ip addr add ${own[0]}/32 dev lo`,
    )
    const mac = /link\/ether (\S+)/.exec(await lab().sh('rs-a1', 'ip link show eth0'))?.[1]
    const { links } = await kernel.observeNetwork()
    const linkIndex = links.find(({ name }) => name === 'eth0')?.index ?? 0
    const asked = own.map((address) => ({ address, linkIndex }))
    assert.deepEqual(await kernel.steps({ do: 'whoElseHas', asked }), [[[own[0], mac]]])
    assert.doesNotMatch(await lab().sh('dir-a', 'ip neigh'), /^10\.1\.0\.14/m)

    await lab().sh('rs-a1', `ip addr del ${own[0]}/32 dev lo`)
    assert.deepEqual(await kernel.steps({ do: 'whoElseHas', asked }), [[]])
    for (const address of own) await lab().sh('dir-a', `ip addr del ${address}/32 dev eth0`)
  })

  it('reads offloads: a bond merges packets, a veth does not', async () => {
    await lab().sh('root', 'modprobe bonding')
    await lab().sh('dir-b', 'ip link add bond9 type bond')
    const [listed] = await new KernelGuest(lab(), 'dir-b').steps({ do: 'offloads' })
    const offloads = new Map(listed as [string, string[]][])
    const merges = (name: string) => offloads.get(name)?.includes('rx-lro')
    assert.deepEqual([merges('bond9'), merges('eth0')], [true, false])
    assert.ok(offloads.get('eth0')?.includes('tx-generic-segmentation'))
    await lab().sh('dir-b', 'ip link del bond9')
  })
}
