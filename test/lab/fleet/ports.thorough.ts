/** Ranges of ports end to end: intent, marks in nftables, packets of TCP and UDP, and nothing left behind. Needs QEMU's nftables. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Histogram } from '../protocol.ts'
import { eventually } from './eventually.ts'
import { FleetLab, REAL_SERVERS, twoSiteIntent } from './fleet-lab.ts'

const VIP = '10.1.0.100'
const VIP6 = 'fd01::100'
const UDP_VIP = '10.1.0.101'
const HOSTS = ['dir-a', ...REAL_SERVERS]

/** Service web-a on these ports, one UDP range, and what dir-a is asked to be set to. */
function intent(ports: readonly (number | string)[]) {
  const document = twoSiteIntent()
  document['virtualServices'] = {
    'web-a': {
      vips: [VIP, VIP6],
      ports,
      scheduler: 'rr',
      pool: 'web',
      carriedBy: { sites: ['a'] },
      drainSeconds: 3,
    },
    media: {
      protocol: 'udp',
      vips: [UDP_VIP],
      ports: ['20000-20999'],
      scheduler: 'rr',
      flags: ['one-packet'],
      pool: 'web',
      carriedBy: { sites: ['a'] },
      drainSeconds: 3,
    },
  }
  document['directors'] = {
    ...document['directors'],
    'dir-a': {
      ...document['directors']?.['dir-a'],
      ipvs: { timeouts: { udpSeconds: 30 }, syncThreshold: { packets: 4, period: 60 } },
      sync: { with: 'dir-a2', network: 'servers', syncId: 7, role: 'master' },
    },
    // Only declared: its agent is not part of this.
    'dir-a2': { site: 'a', addresses: ['10.1.0.20'], state: 'disabled' },
  }
  return document
}

describe('ranges of ports', () => {
  let fleet: FleetLab

  before(async () => {
    fleet = await FleetLab.start()
    await fleet.lab.sh('dir-a', 'nft add table ip other; nft add chain ip other keep')
    await Promise.all(
      REAL_SERVERS.map((name) => fleet.lab.serve(name, { ports: [80, 8000, 8500] })),
    )
    await fleet.applyIntent(intent([80]))
    await Promise.all(HOSTS.map((name) => fleet.startAgent(name)))
    await fleet.converged(HOSTS)
  })
  after(async () => fleet.stop())

  it('one port becomes a thousand while clients go on', async () => {
    const load = await fleet.lab.load('cl-a', {
      url: `http://${VIP}/`,
      ratePerSecond: 10,
      timeoutMs: 5_000,
    })
    await fleet.applyIntent(intent([80, '8000-8999']), '?allowShrink=true')
    await fleet.converged(HOSTS)
    const { answers, errors } = await load.stop()
    assert.deepEqual(errors, {})
    assert.deepEqual(servers(answers), [...REAL_SERVERS])
    await eventually(
      async () => {
        const table = await fleet.lab.ipvsadm('dir-a')
        assert.deepEqual(
          table.filter((line) => !/ -f \d+/.test(line)),
          [],
        )
      },
      { withinMs: 60_000 },
    )
  })

  for (const [family, vip] of [
    ['IPv4', VIP],
    ['IPv6', `[${VIP6}]`],
  ] as const) {
    for (const port of [80, 8000, 8500]) {
      it(`${family} port ${port} is answered on that port by the real servers of both sites`, async () => {
        const url = `http://${vip}:${port}/`
        const answers = await fleet.lab.get('cl-a', { url, n: 8 })
        assert.deepEqual(servers(answers), [...REAL_SERVERS])
        assert.ok(Object.keys(answers).every((answer) => answer.includes(`:${port} `)))
      })
    }
  }

  it('UDP of a range goes to all of them, and a port beside it to nobody', async () => {
    await Promise.all(
      REAL_SERVERS.map((name) => fleet.lab.serveUdp(name, { port: 20_123, bind: UDP_VIP })),
    )
    const answers = await fleet.lab.udp('cl-a', { address: UDP_VIP, port: 20_123, n: 8 })
    assert.deepEqual(servers(answers), [...REAL_SERVERS])
    const beside = await fleet.lab.udp('cl-a', { address: UDP_VIP, port: 19_999, n: 1 })
    assert.deepEqual(Object.keys(beside), ['ERR ECONNREFUSED'])
  })

  it('a rule that somebody flushed is put back', async () => {
    await fleet.lab.sh('dir-a', 'nft flush chain ip lvsfleet marking')
    await eventually(
      async () => {
        const answers = await fleet.lab.get('cl-a', { url: `http://${VIP}:8500/`, n: 4 })
        assert.deepEqual(servers(answers), [...REAL_SERVERS])
      },
      // The agent looks at most every ten seconds, and then has to do it.
      { withinMs: 40_000 },
    )
  })

  it('timeouts, sysctls and the sync daemon are those of the intent, as ipvsadm says', async () => {
    const text = await fleet.lab.sh(
      'dir-a',
      'ipvsadm -L --timeout; ipvsadm -L --daemon; sysctl -n net.ipv4.vs.sync_threshold',
    )
    assert.match(text, /^Timeout \(tcp tcpfin udp\): 900 120 30$/m)
    assert.match(text, /^master sync daemon \(mcast=eth0, syncid=7, /m)
    assert.match(text, /^4\t60$/m)
  })

  it('the range shrinks to one port again while clients go on', async () => {
    const load = await fleet.lab.load('cl-a', {
      url: `http://${VIP}/`,
      ratePerSecond: 10,
      timeoutMs: 5_000,
    })
    await fleet.applyIntent(intent([80]), '?allowShrink=true')
    await fleet.converged(HOSTS)
    const { errors } = await load.stop()
    assert.deepEqual(errors, {})
    const refused = await fleet.lab.get('cl-a', { url: `http://${VIP}:8500/`, n: 1 })
    assert.deepEqual(refused, { 'ERR ECONNREFUSED': 1 })
  })

  it('leaves nothing behind, and what was not ours as it was', async () => {
    const document = { ...twoSiteIntent(), virtualServices: {} }
    await fleet.applyIntent(document, '?allowShrink=true')
    await eventually(
      async () => {
        assert.deepEqual(await fleet.lab.ipvsadm('dir-a'), [])
        assert.equal(await fleet.lab.sh('dir-a', 'nft list tables'), 'table ip other\n')
        const text = await fleet.lab.sh('dir-a', 'ipvsadm -L --timeout; ipvsadm -L --daemon')
        assert.equal(text, 'Timeout (tcp tcpfin udp): 900 120 300\n')
        assert.doesNotMatch(await fleet.lab.sh('dir-a', 'ip -o addr show'), /10\.1\.0\.10[01]/)
      },
      { withinMs: 60_000 },
    )
  })
})

function servers(answers: Histogram): string[] {
  return [...new Set(Object.keys(answers).map((answer) => answer.split(':')[0] ?? ''))].toSorted()
}
