/** Sysctls, MSS clamps, and what the port says about itself. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ip, type Op } from '@lvs-fleet/contract'
import type { Lab } from '../lab.ts'
import { web } from './errno-rows.ts'
import { assertDone, KernelGuest, nodeCommand } from './kernel-guest.ts'

export function hostCases(lab: () => Lab): void {
  it('reads and writes sysctls', async () => {
    const kernel = new KernelGuest(lab(), 'rs-b2')
    const set = (key: string, to: string): Op => ({ kind: 'sysctl.set', key, from: '', to })
    const forward = 'net.ipv4.ip_forward'
    const [outcomes, values] = await kernel.steps(
      {
        do: 'apply',
        ops: [set(forward, '1'), set('net.ipv4.conf.lvsf-x.rp_filter', '0'), set(forward, 'x')],
      },
      { do: 'readSysctls', keys: [forward, 'net.ipv4.conf.lvsf-x.rp_filter'] },
    )
    assert.partialDeepStrictEqual(outcomes, [null, { code: 'ENOENT' }, { code: 'EINVAL' }])
    assert.deepEqual(values, { [forward]: '1' })
    assert.equal(await lab().sh('rs-b2', ['sysctl', '-n', forward]), '1\n')
  })

  it('clamps the MSS that a VIP announces, and leaves no table behind', async () => {
    const kernel = new KernelGuest(lab(), 'rs-b2')
    const vips = [ip('10.2.0.130'), ip('fd02::130')] as const
    const set = (mss: number): Op[] =>
      vips.map((address) => ({ kind: 'clamp.set', clamp: { address, mss }, from: null }))
    if (lab().engine === 'uml') {
      // User-Mode Linux of Debian has nftables for bridges only.
      assert.deepEqual(await kernel.codes(set(1400)), ['ENOTSUP', 'ENOTSUP'])
      assert.deepEqual(await kernel.observeClamps(), [])
      return
    }
    await lab().serve('rs-b2', { ports: [80] })
    await lab().sh(
      'rs-b2',
      'ip addr add 10.2.0.130/32 dev eth0; ip addr add fd02::130/128 dev eth0 nodad',
    )
    const announced = async () => {
      const capture = await lab().capture('cl-b', { filter: 'tcp src port 80' })
      for (const url of ['http://10.2.0.130/', 'http://[fd02::130]/']) {
        assert.match(Object.keys(await lab().get('cl-b', { url })).join(), /^rs-b2:80 from=[^,]*$/)
      }
      const lines = (await capture.stop()).filter((line) => line.includes('Flags [S.]'))
      return lines.map((line) => Number(/mss (\d+)/.exec(line)?.[1])).sort((a, b) => a - b)
    }
    assert.deepEqual(await announced(), [1440, 1460])
    assertDone(await kernel.apply(set(1300)))
    assert.deepEqual(await announced(), [1300, 1300])
    assertDone(await kernel.apply(set(1200)))
    assert.deepEqual(await kernel.observeClamps(), [
      { address: vips[0], mss: 1200 },
      { address: vips[1], mss: 1200 },
    ])
    assert.deepEqual(await announced(), [1200, 1200])
    const removes = vips.map((address): Op => ({
      kind: 'clamp.remove',
      clamp: { address, mss: 1200 },
    }))
    assertDone(await kernel.apply(removes))
    assert.equal(await lab().sh('rs-b2', 'nft list tables'), '')
    assert.deepEqual(await announced(), [1440, 1460])
  })

  it('counts what it writes, never what it reads', async () => {
    const kernel = new KernelGuest(lab(), 'dir-b')
    const [, , , , count, scope] = await kernel.steps(
      { do: 'listServices' },
      { do: 'listDestinations', services: [web] },
      { do: 'observeNetwork' },
      { do: 'observeClamps' },
      { do: 'writeCount' },
      { do: 'scope' },
    )
    assert.equal(count, 0)
    const [bootId, inode] = String(scope).split('/')
    assert.equal(bootId, (await lab().readFile('/proc/sys/kernel/random/boot_id')).trim())
    assert.equal(await lab().sh('dir-b', 'readlink /proc/self/ns/net'), `net:[${inode}]\n`)
  })

  it('says which capability is missing', async () => {
    const command = ['setpriv', '--bounding-set=-net_admin', ...nodeCommand('drive')]
    const text = await lab().sh('dir-b', command, { stdin: '[]' })
    assert.deepEqual(JSON.parse(text), {
      code: 'EPERM',
      message: 'open netlink socket: EPERM: needs CAP_NET_ADMIN',
    })
  })
}
