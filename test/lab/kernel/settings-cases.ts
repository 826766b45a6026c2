/** Timeouts and sync daemons of a network namespace, against ipvsadm. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ip, type Op, type SyncDaemonState } from '@lvs-fleet/contract'
import type { Lab } from '../lab.ts'
import { assertDone, KernelGuest } from './kernel-guest.ts'

/** Without virtual services, which may exclude daemons. */
const HOST = 'rs-a2'
const MASTER: SyncDaemonState = {
  role: 'master',
  place: { holding: ip('10.1.0.12') },
  syncId: 7,
  group: ip('224.0.0.90'),
  port: 9000,
  ttl: 2,
  maxlen: 1450,
}
const BACKUP: SyncDaemonState = {
  role: 'backup',
  place: { device: 'eth0' },
  syncId: 255,
  group: ip('ff02::5:81'),
  port: 8848,
  ttl: 1,
  maxlen: null,
}

export function settingsCases(lab: () => Lab): void {
  it('sets each timeout alone, as ipvsadm shows it', async () => {
    const kernel = new KernelGuest(lab(), HOST)
    const shown = async () =>
      /\): ([\d ]+)/.exec(await lab().sh(HOST, 'ipvsadm -L --timeout'))?.[1]?.trim()
    const set = (name: 'tcp' | 'tcpFin' | 'udp', to: number): Op => ({
      kind: 'timeout.set',
      name,
      from: null,
      to,
    })
    assert.equal(await shown(), '900 120 300')
    assertDone(await kernel.apply([set('udp', 30)]))
    assert.equal(await shown(), '900 120 30')
    assertDone(await kernel.apply([set('tcp', 3600), set('tcpFin', 15)]))
    assert.equal(await shown(), '3600 15 30')
    const [timeouts] = await kernel.steps({ do: 'readTimeouts' })
    assert.deepEqual(timeouts, { tcp: 3600, tcpFin: 15, udp: 30 })
    // The longest that we allow, whatever HZ is.
    assertDone(await kernel.apply([set('tcp', 86_400 * 24)]))
    assertDone(await kernel.apply([set('tcp', 900), set('tcpFin', 120), set('udp', 300)]))
    assert.equal(await shown(), '900 120 300')
  })

  it('starts and stops sync daemons, as ipvsadm lists them', async () => {
    const kernel = new KernelGuest(lab(), HOST)
    const shown = () => lab().sh(HOST, 'ipvsadm -L --daemon')
    assert.equal(await shown(), '')
    assertDone(
      await kernel.apply([MASTER, BACKUP].map((daemon): Op => ({ kind: 'sync.start', daemon }))),
    )
    assert.equal(
      await shown(),
      'master sync daemon (mcast=eth0, syncid=7, maxlen=1450, group=224.0.0.90, port=9000, ttl=2)\n' +
        'backup sync daemon (mcast=eth0, syncid=255, maxlen=1452, group=ff02::5:81, port=8848, ttl=1)\n',
    )
    const [daemons] = await kernel.steps({ do: 'listSyncDaemons' })
    const { place: _, ...master } = MASTER
    const { place: __, ...backup } = BACKUP
    assert.deepEqual(daemons, [
      { ...master, device: 'eth0' },
      { ...backup, device: 'eth0', maxlen: 1452 },
    ])
    assertDone(await kernel.apply([{ kind: 'sync.stop', daemon: MASTER }]))
    assert.match(await shown(), /^backup [^\n]*\n$/)
    assertDone(await kernel.apply([{ kind: 'sync.stop', daemon: BACKUP }]))
    assert.equal(await shown(), '')
  })

  it('is kept to message sizes that the kernel takes as they are', async () => {
    const kernel = new KernelGuest(lab(), HOST)
    for (const maxlen of [1_400, 65_000]) {
      const daemon = { ...MASTER, maxlen }
      const [, daemons] = await kernel.steps(
        { do: 'apply', ops: [{ kind: 'sync.start', daemon }] },
        { do: 'listSyncDaemons' },
        { do: 'apply', ops: [{ kind: 'sync.stop', daemon }] },
      )
      assert.partialDeepStrictEqual(daemons, [{ maxlen }])
    }
  })
}
