/** GRE devices and GUE ports, against ip. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ip, type DeviceState, type GuePortState, type Op } from '@lvs-fleet/contract'
import type { Lab } from '../lab.ts'
import { assertNetwork, ipJson } from './ip-json.ts'
import { assertDone, KernelGuest } from './kernel-guest.ts'

const four = { local: ip('10.1.0.11'), remote: ip('10.1.0.10') }
const six = { local: ip('fd01::11'), remote: ip('fd01::10') }

export function tunnelCases(lab: () => Lab): void {
  it('makes GRE devices as ip shows them, and edits their checksum where they stand', async () => {
    const kernel = new KernelGuest(lab(), 'rs-a1')
    const devices = (checksum: boolean): readonly DeviceState[] => [
      { name: 'lvsf-gre', kind: 'gre', ...four, checksum },
      { name: 'lvsf-gre6', kind: 'ip6gre', ...six, checksum },
    ]
    const indexes = new Set<number | undefined>()
    for (const [step, checksum] of [false, true, false].entries()) {
      const ops = devices(checksum).map((device): Op =>
        step === 0
          ? { kind: 'device.create', device }
          : { kind: 'device.update', device, from: device },
      )
      assertDone(await kernel.apply(ops))
      const shown = await ipJson(lab(), 'rs-a1')
      for (const device of devices(checksum)) {
        const link = shown.find(({ ifname }) => ifname === device.name)
        assert.equal(link?.linkinfo?.info_kind, device.kind)
        assert(link.flags.includes('UP'), device.name)
        const { icsum, ocsum, ttl, ikey, okey } = link.linkinfo.info_data ?? {}
        assert.deepEqual([icsum, ocsum, ttl], [checksum ? true : undefined, undefined, 64])
        assert.deepEqual([ikey, okey], [undefined, undefined])
        indexes.add(link.ifindex)
      }
      await assertNetwork(kernel, lab(), 'rs-a1')
    }
    assert.equal(indexes.size, 2, 'they were never made anew')
    const other = { name: 'lvsf-gre2', kind: 'gre', ...four, checksum: true } as const
    const codes = await kernel.codes([
      { kind: 'device.create', device: other },
      { kind: 'device.update', device: other, from: other },
      { kind: 'device.create', device: { ...other, ...six } },
      ...devices(false).map((device): Op => ({ kind: 'device.remove', device })),
    ])
    // One device for two ends, whatever its checksum: it is the option of the real server, not of a service.
    assert.deepEqual(codes, ['EEXIST', 'ENODEV', 'EINVAL', 'ok', 'ok'])
  })

  it('opens and closes GUE ports as ip fou shows them', async () => {
    const kernel = new KernelGuest(lab(), 'rs-a1')
    // The lab loads all modules: taken out first, so that the agent must ask for them.
    await lab().sh('root', 'rmmod fou6 fou')
    assert.deepEqual(await kernel.observeGuePorts(), [])
    const guePorts: readonly GuePortState[] = [
      { address: four.local, port: 6080 },
      { address: four.local, port: 6081 },
      { address: six.local, port: 6080 },
    ]
    const open = guePorts.map((guePort): Op => ({ kind: 'gue-port.open', guePort }))
    assertDone(await kernel.apply(open))
    const shown = async () =>
      (await lab().sh('rs-a1', 'ip fou show'))
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '')
        .toSorted()
    assert.deepEqual(await shown(), [
      'port 6080 gue -6 local fd01::11',
      'port 6080 gue local 10.1.0.11',
      'port 6081 gue local 10.1.0.11',
    ])
    const read = (await kernel.observeGuePorts()).map(
      ({ address, family, port, exact }) => `${family} ${address} ${port} ${exact}`,
    )
    assert.deepEqual(read.toSorted(), [
      'ipv4 10.1.0.11 6080 true',
      'ipv4 10.1.0.11 6081 true',
      'ipv6 fd01::11 6080 true',
    ])

    await lab().sh('rs-a1', 'ip fou add port 7000 gue && ip fou add port 7001 ipproto 4')
    const foreign = (await kernel.observeGuePorts()).filter(({ port }) => port >= 7000)
    const plain = foreign.map(({ address, port, exact }) => `${address} ${port} ${exact}`)
    assert.deepEqual(plain.toSorted(), ['null 7000 true', 'null 7001 false'])
    const strange: GuePortState = { address: ip('10.99.0.1'), port: 6080 }
    const taken: GuePortState = { address: four.local, port: 7000 }
    const codes = await kernel.codes([
      ...open,
      { kind: 'gue-port.open', guePort: strange },
      { kind: 'gue-port.open', guePort: taken },
      ...guePorts.map((guePort): Op => ({ kind: 'gue-port.close', guePort })),
      { kind: 'gue-port.close', guePort: strange },
    ])
    assert.deepEqual(codes, [
      'EADDRINUSE',
      'EADDRINUSE',
      'EADDRINUSE',
      'EADDRNOTAVAIL',
      'EADDRINUSE',
      'ok',
      'ok',
      'ok',
      'EINVAL',
    ])
    await lab().sh('rs-a1', 'ip fou del port 7000 && ip fou del port 7001')
    assert.deepEqual(await shown(), [])
  })

  it('says what to do where the module for GUE cannot be loaded', async () => {
    const kernel = new KernelGuest(lab(), 'rs-a2')
    await lab().sh(
      'root',
      'rmmod fou; echo "install fou /bin/false" > /etc/modprobe.d/lab-fou.conf',
    )
    const guePort = { address: ip('10.1.0.12'), port: 6080 }
    const [outcome] = await kernel.apply([{ kind: 'gue-port.open', guePort }])
    await lab().sh('root', 'rm /etc/modprobe.d/lab-fou.conf; modprobe -a fou fou6')
    assert.equal(outcome?.code, 'EPROTONOSUPPORT')
    assert.match(outcome.message, /^fou is not loaded .*: modprobe fou, and name it in/)
  })
}
