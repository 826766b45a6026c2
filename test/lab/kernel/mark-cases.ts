/** Marks in nftables, and what IPVS does with marked packets: ports of DR and NAT, against packets. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import {
  ip,
  type AddressState,
  type DestinationConfig,
  type MarkState,
  type Op,
  type ServiceRef,
} from '@lvs-fleet/contract'
import type { Lab } from '../lab.ts'
import { plainDestination, plainService } from './errno-rows.ts'
import { assertDone, KernelGuest } from './kernel-guest.ts'

const VIP = ip('10.1.0.130')
const PORTS: MarkState = {
  protocol: 'tcp',
  address: VIP,
  ports: { from: 8000, to: 8999 },
  mark: 0x4c00_0001,
}
const SERVICE: ServiceRef = { protocol: 'fwmark', firewallMark: PORTS.mark, family: 'ipv4' }
const CLIENT = '10.1.9.2'

export function markCases(lab: () => Lab): void {
  it('sends a whole range of ports to one service, which keeps the port that the client asked for', async (t) => {
    const kernel = new KernelGuest(lab(), 'dir-a')
    const set: Op = { kind: 'mark.set', mark: PORTS, from: null }
    if (lab().engine === 'uml') {
      // User-Mode Linux of Debian has nftables for bridges only.
      assert.deepEqual(await kernel.codes([set]), ['ENOTSUP'])
      return
    }
    const place: AddressState = { address: VIP, place: { holding: ip('10.1.0.10') } }
    const direct = { address: ip('10.1.0.12'), port: 0 }
    const translated = { address: ip('10.1.0.11'), port: 0 }
    const other = { address: ip('10.1.0.11'), port: 7000 }
    const nat: DestinationConfig = { ...plainDestination, forwarding: { method: 'nat' } }
    const create = (destination: typeof direct, to: DestinationConfig): Op => ({
      kind: 'destination.create',
      service: SERVICE,
      destination,
      to,
    })
    const redirects = (value: 0 | 1) =>
      `net.ipv4.conf.all.send_redirects=${value} net.ipv4.conf.eth0.send_redirects=${value}`
    t.after(async () => {
      await lab().sh('dir-a', `sysctl -qw net.ipv4.ip_forward=0 ${redirects(1)}`)
      await lab().sh('rs-a1', 'ip route replace default via 10.1.0.1')
      await lab().sh('rs-a2', `ip addr del ${VIP}/32 dev lo`)
      await lab().unserve('rs-a1')
      await lab().unserve('rs-a2')
    })
    // In one network the director would tell the real server of the way past it, as soon as that knows the router.
    await lab().sh(
      'dir-a',
      `sysctl -qw net.ipv4.ip_forward=1 ${redirects(0)}; nft add table ip other`,
    )
    // NAT: answers return through the director. DR: the VIP is local and does not answer ARP.
    await lab().sh('rs-a1', 'ip route replace default via 10.1.0.10')
    await lab().sh(
      'rs-a2',
      `sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2; ip addr add ${VIP}/32 dev lo`,
    )
    await lab().serve('rs-a1', { ports: [7000, 8001, 8999] })
    await lab().serve('rs-a2', { ports: [8001, 8999] })
    assertDone(
      await kernel.apply([
        { kind: 'address.add', address: place },
        { kind: 'service.create', service: SERVICE, to: plainService },
        create(direct, plainDestination),
        create(translated, nat),
        set,
      ]),
    )
    const [marks] = await kernel.steps({ do: 'observeMarks' })
    assert.deepEqual(marks, [PORTS])
    const get = (port: number, n = 4) =>
      lab().get('cl-a', { url: `http://${VIP}:${port}/`, n, timeoutMs: 5_000 })
    for (const port of [8001, 8999]) {
      assert.deepEqual(await get(port), {
        [`rs-a1:${port} from=${CLIENT}`]: 2,
        [`rs-a2:${port} from=${CLIENT}`]: 2,
      })
    }
    // Outside the range nobody listens, and the director is no real server.
    assert.deepEqual(await get(7999, 1), { 'ERR ECONNREFUSED': 1 })

    // A port of its own: every port of the range leads there.
    assertDone(
      await kernel.apply([
        { kind: 'destination.remove', service: SERVICE, destination: direct },
        { kind: 'destination.remove', service: SERVICE, destination: translated },
        create(other, nat),
      ]),
    )
    for (const port of [8001, 8500]) {
      assert.deepEqual(await get(port, 2), { [`rs-a1:7000 from=${CLIENT}`]: 2 })
    }

    assertDone(
      await kernel.apply([
        { kind: 'mark.remove', mark: PORTS },
        { kind: 'service.remove', service: SERVICE },
        { kind: 'address.remove', address: place },
      ]),
    )
    assert.equal(await lab().sh('dir-a', 'nft list tables'), 'table ip other\n')
    await lab().sh('dir-a', 'nft delete table ip other')
  })

  it('marks a range of ports over IPv6, each protocol for itself', async (t) => {
    const kernel = new KernelGuest(lab(), 'dir-a')
    const address = ip('fd01::130')
    const mark: MarkState = { ...PORTS, address }
    const udp: MarkState = { ...mark, protocol: 'udp', mark: 0x4c00_0002 }
    if (lab().engine === 'uml') {
      // User-Mode Linux of Debian has nftables for bridges only.
      assert.deepEqual(await kernel.codes([{ kind: 'mark.set', mark, from: null }]), ['ENOTSUP'])
      return
    }
    const service: ServiceRef = { protocol: 'fwmark', firewallMark: mark.mark, family: 'ipv6' }
    const place: AddressState = { address, place: { holding: ip('fd01::10') } }
    t.after(async () => {
      await lab().sh('rs-a2', `ip addr del ${address}/128 dev lo`)
      await lab().unserve('rs-a2')
    })
    await lab().sh('rs-a2', `ip addr add ${address}/128 dev lo nodad`)
    await lab().serve('rs-a2', { ports: [8001, 8999] })
    assertDone(
      await kernel.apply([
        { kind: 'address.add', address: place },
        { kind: 'service.create', service, to: plainService },
        {
          kind: 'destination.create',
          service,
          destination: { address: ip('fd01::12'), port: 0 },
          to: plainDestination,
        },
        { kind: 'mark.set', mark, from: null },
        { kind: 'mark.set', mark: udp, from: null },
      ]),
    )
    const [marks] = await kernel.steps({ do: 'observeMarks' })
    assert.deepEqual(marks, [mark, udp])
    for (const port of [8001, 8999]) {
      const url = `http://[${address}]:${port}/`
      const answers = await lab().get('cl-a', { url, n: 2, timeoutMs: 5_000 })
      assert.match(JSON.stringify(answers), new RegExp(`^\\{"rs-a2:${port} from=[^"]*":2\\}$`))
    }
    assertDone(
      await kernel.apply([
        { kind: 'mark.remove', mark },
        { kind: 'mark.remove', mark: udp },
        { kind: 'service.remove', service },
        { kind: 'address.remove', address: place },
      ]),
    )
    assert.equal(await lab().sh('dir-a', 'nft list tables'), '')
  })
}
