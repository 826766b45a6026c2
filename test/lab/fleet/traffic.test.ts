/** The main promise: one intent, two sites, client packets balanced by real kernels through a tunnel. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { byServer } from '../histogram.ts'
import { eventually } from './eventually.ts'
import { FleetLab, REAL_SERVERS, twoSiteIntent } from './fleet-lab.ts'

const CLIENTS = [
  { client: 'cl-a', family: 'IPv4', address: '10.1.9.2', vip: '10.1.0.100', remote: 'rs-b1' },
  { client: 'cl-b', family: 'IPv4', address: '10.2.9.2', vip: '10.2.0.100', remote: 'rs-a1' },
  { client: 'cl-a', family: 'IPv6', address: 'fd01:0:0:9::2', vip: 'fd01::100', remote: 'rs-b1' },
  { client: 'cl-b', family: 'IPv6', address: 'fd02:0:0:9::2', vip: 'fd02::100', remote: 'rs-a1' },
] as const

describe('one intent over two sites', () => {
  let fleet: FleetLab

  before(async () => {
    fleet = await FleetLab.start()
    await fleet.bringUp()
  })
  after(async () => fleet.stop())

  for (const { client, family, address, vip } of CLIENTS) {
    it(`${client} is answered over ${family} by the real servers of both sites, by weight`, async () => {
      const answers = await fleet.lab.get(client, { url: urlOf(vip), n: 40, timeoutMs: 5_000 })
      const each = Object.fromEntries(
        REAL_SERVERS.map((name) => [`${name}:80 from=${address}`, 10]),
      )
      assert.deepEqual(answers, each)
    })
  }

  it('follows a changed weight: 3 to 1 to 1 to 1', async () => {
    await setWeights(fleet, { 'rs-b1': 300 })
    await fleet.converged(['dir-a', 'dir-b'])
    const answers = byServer(
      await fleet.lab.get('cl-a', { url: 'http://10.1.0.100/', n: 60, timeoutMs: 5_000 }),
    )
    assert.deepEqual(answers, { 'rs-a1': 10, 'rs-a2': 10, 'rs-b1': 30, 'rs-b2': 10 })
    await setWeights(fleet, {})
    await fleet.converged(['dir-a', 'dir-b'])
  })

  for (const { client, family, address, vip, remote } of CLIENTS) {
    it(`the packets of ${client} over ${family} go through the tunnel, the answer goes straight back`, async () => {
      const lab = fleet.lab
      const outer = family === 'IPv4' ? 'ip proto 4' : 'ip6 proto 41'
      const tunnel = await lab.capture(remote, { interface: 'eth0', filter: outer })
      const replies = await lab.capture(client, {
        interface: 'eth0',
        filter: `src host ${vip} and tcp`,
      })
      const director = client === 'cl-a' ? 'dir-a' : 'dir-b'
      const passing = await lab.capture(director, {
        interface: 'eth0',
        filter: `src host ${vip} and tcp port 80`,
      })
      await lab.get(client, { url: urlOf(vip), n: 8, timeoutMs: 5_000 })
      const [encapsulated, answered, throughDirector] = await Promise.all([
        tunnel.stop(),
        replies.stop(),
        passing.stop(),
      ])
      assert.ok(
        encapsulated.some((line) => line.includes(`${address}.`) && line.includes(`> ${vip}.80`)),
        `no encapsulated packet of ${address} at ${remote}:\n${encapsulated.join('\n')}`,
      )
      assert.ok(answered.length > 0, 'the client saw no answer from the VIP')
      // DR and TUN: the director never sees an answer.
      assert.deepEqual(throughDirector, [])
    })
  }

  it('carries uploads through the tunnel although they are born larger than it', async () => {
    for (const { client, vip, address } of CLIENTS) {
      const answers = await fleet.lab.get(client, {
        url: urlOf(vip),
        n: 8,
        upload: 300_000,
        timeoutMs: 10_000,
      })
      assert.deepEqual(
        Object.keys(answers).toSorted(),
        REAL_SERVERS.map((name) => `${name}:80 from=${address} got=300000`),
      )
    }
  })

  it('carries uploads where the network eats ICMP: the MSS fits by itself', async () => {
    await fleet.lab.sh(
      'cl-a',
      'iptables-legacy -A INPUT -p icmp -j DROP || iptables -A INPUT -p icmp -j DROP',
    )
    const answers = await fleet.lab.get('cl-a', {
      url: 'http://10.1.0.100/',
      n: 8,
      upload: 300_000,
      timeoutMs: 10_000,
    })
    await fleet.lab.sh(
      'cl-a',
      'iptables-legacy -F INPUT 2>/dev/null; iptables -F INPUT 2>/dev/null; true',
    )
    assert.deepEqual(Object.keys(byServer(answers)).toSorted(), [...REAL_SERVERS])
  })

  it('decapsulates from the directors of the fleet and from nobody else', async () => {
    const lab = fleet.lab
    // A stranger in site a sends the same inner packet through a tunnel of its own.
    await lab.sh(
      'cl-a',
      'ip link add evil type ipip local 10.1.9.2 remote 10.2.0.11 && ip link set evil up',
    )
    await lab.sh('cl-a', 'ip route add 10.2.0.100/32 dev evil')
    const refusals = await lab.capture('rs-b1', {
      interface: 'eth0',
      filter: 'icmp[icmptype] == icmp-unreach and dst host 10.1.9.2',
    })
    const stranger = await lab.get('cl-a', { url: 'http://10.2.0.100/', n: 2 })
    const refused = await refusals.stop()
    await lab.sh('cl-a', 'ip link del evil')
    assert.deepEqual(
      Object.keys(byServer(stranger)).filter((name) => name.startsWith('rs-')),
      [],
    )
    // The packets did arrive: the kernel says itself that nobody takes them.
    assert.match(refused.join('\n'), /10\.2\.0\.11 protocol 4 .*unreachable/)
  })

  it('balances UDP too', async () => {
    const document = twoSiteIntent()
    document['virtualServices'] = {
      ...document['virtualServices'],
      dns: {
        protocol: 'udp',
        vips: ['10.1.0.101'],
        ports: [53],
        scheduler: 'rr',
        flags: ['one-packet'],
        pool: 'web',
        carriedBy: { sites: ['a'] },
      },
    }
    await fleet.applyIntent(withoutDrain(document))
    await fleet.converged()
    await Promise.all(
      REAL_SERVERS.map((name) => fleet.lab.serveUdp(name, { port: 53, bind: '10.1.0.101' })),
    )
    const answers = await fleet.lab.udp('cl-a', { address: '10.1.0.101', port: 53, n: 8 })
    assert.deepEqual(Object.keys(byServer(answers)).toSorted(), [...REAL_SERVERS])
    await fleet.applyIntent(twoSiteIntent(), '?allowShrink=true')
  })

  it('drains a site: no new connection goes there', async () => {
    await fleet.controller.call('PATCH', '/v1/sites/b?force=true', { state: 'drain' })
    await fleet.converged(['dir-a', 'dir-b'])
    const answers = byServer(
      await fleet.lab.get('cl-b', { url: 'http://10.2.0.100/', n: 20, timeoutMs: 5_000 }),
    )
    assert.deepEqual(answers, { 'rs-a1': 10, 'rs-a2': 10 })
    await fleet.controller.call('PATCH', '/v1/sites/b?force=true', { state: 'active' })
    await fleet.converged(['dir-a', 'dir-b'])
  })

  it('takes everything back from the real servers when the intent goes', async () => {
    const document = withoutDrain(twoSiteIntent())
    await fleet.applyIntent(document)
    await fleet.converged()
    await fleet.applyIntent({ ...document, virtualServices: {} }, '?allowShrink=true')
    await fleet.converged()
    await eventually(async () => {
      const left = await fleet.lab.sh('rs-b1', 'ip -o link show; ip -o addr show; nft list tables')
      assert.doesNotMatch(left, /lvsf|10\.1\.0\.100|fd01::100/)
      const sysctls = await fleet.lab.sh(
        'rs-b1',
        'cd /proc/sys/net/ipv4/conf/all; cat arp_ignore arp_announce',
      )
      assert.equal(sysctls, '0\n0\n')
      assert.deepEqual(await fleet.lab.ipvsadm('dir-a'), [])
      assert.doesNotMatch(await fleet.lab.sh('dir-a', 'ip -o addr show'), /10\.1\.0\.100|fd01::100/)
    })
  })

  it('sets up a real server without an agent from the rendered script, and takes it back', async () => {
    await fleet.stopAgent('rs-b1')
    await fleet.applyIntent(twoSiteIntent())
    await fleet.converged(['dir-a', 'dir-b', 'rs-a1', 'rs-a2', 'rs-b2'])
    const script = await (
      await fleet.controller.request('GET', '/v1/hosts/real-server/rs-b1/script')
    ).text()
    await fleet.lab.writeFile('/root/rs-b1.sh', script)
    await fleet.lab.sh('rs-b1', 'sh /root/rs-b1.sh && sh /root/rs-b1.sh')
    for (const { client, vip } of CLIENTS) {
      const answers = await fleet.lab.get(client, {
        url: urlOf(vip),
        n: 8,
        upload: 100_000,
        timeoutMs: 10_000,
      })
      assert.deepEqual(Object.keys(byServer(answers)).toSorted(), [...REAL_SERVERS])
    }
    await fleet.lab.sh('rs-b1', 'sh /root/rs-b1.sh remove')
    const left = await fleet.lab.sh('rs-b1', 'ip -o link show; ip -o addr show; nft list tables')
    assert.doesNotMatch(left, /lvsf|10\.1\.0\.100|fd01::100/)
  })
})

/** What leaves, leaves at once: for tests that look at what is left. */
function withoutDrain(document: ReturnType<typeof twoSiteIntent>): typeof document {
  for (const service of Object.values(document['virtualServices'] ?? {}))
    service['drainSeconds'] = 0
  return document
}

function urlOf(vip: string): string {
  return vip.includes(':') ? `http://[${vip}]/` : `http://${vip}/`
}

async function setWeights(
  fleet: FleetLab,
  weights: Readonly<Record<string, number>>,
): Promise<void> {
  const members = REAL_SERVERS.map((realServer) => ({
    realServer,
    weight: weights[realServer] ?? 100,
  }))
  await fleet.controller.call('PATCH', '/v1/pools/web?force=true', { members })
}
