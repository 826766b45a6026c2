/**
 * Every tunnel with packets: IPIP, GRE and GUE with each checksum, IPv4 and IPv6 inside, over IPv4 and over IPv6.
 * In each round the four real servers take off four different tunnels of one outer family, so that four rounds
 * see all cells. Agents on all hosts; the intent says no more than an operator would.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { eventually } from './eventually.ts'
import { FleetLab, REAL_SERVERS, twoSiteIntent } from './fleet-lab.ts'

/** Rounds replace addresses, which is more than a change may take away by itself. */
const ANY_CHANGE = '?allowShrink=true'
const MEGABYTE = 1_000_000
const VIPS = [
  { inner: 'v4', vip: '10.1.0.100', client: '10.1.9.2' },
  { inner: 'v6', vip: 'fd01::100', client: 'fd01:0:0:9::2' },
] as const

/** What a real server says about itself, and what `explain` calls the result. */
type Setting = { readonly server: Readonly<Record<string, unknown>>; readonly says: string }
type Round = { readonly outer: 'v4' | 'v6'; readonly tunnels: readonly Setting[] }

const IPIP: Setting = { server: { decapsulates: ['ipip'] }, says: 'tun ipip' }
const GRE: Setting = { server: { decapsulates: ['gre'] }, says: 'tun gre' }
const GRE_CSUM: Setting = {
  server: { decapsulates: ['gre'], gre: { checksum: true } },
  says: 'tun gre csum',
}
const GUE: Setting = { server: { decapsulates: ['gue'] }, says: 'tun gue 6080' }
const GUE_CSUM: Setting = {
  server: { decapsulates: ['gue'], gue: { checksum: 'csum' } },
  says: 'tun gue 6080 csum',
}
const GUE_REMCSUM: Setting = {
  server: { decapsulates: ['gue'], gue: { port: 7000, checksum: 'remcsum' } },
  says: 'tun gue 7000 remcsum',
}
const FIRST: Round = { outer: 'v4', tunnels: [IPIP, GRE, GRE_CSUM, GUE] }
const ROUNDS: readonly Round[] = [
  FIRST,
  { outer: 'v4', tunnels: [GUE_CSUM, GUE_REMCSUM, GUE, GRE_CSUM] },
  { outer: 'v6', tunnels: [GRE_CSUM, GUE_REMCSUM, GUE_CSUM, GRE] },
  { outer: 'v6', tunnels: [GUE, IPIP, GUE_REMCSUM, GUE_CSUM] },
]
const MIXED: Round = { outer: 'v4', tunnels: [GUE, GRE, GRE_CSUM, GUE_REMCSUM] }

describe('every tunnel carries traffic', () => {
  let fleet: FleetLab

  before(async () => {
    fleet = await FleetLab.start()
    await fleet.bringUp(() => {}, intentOf(FIRST))
  })
  after(async () => fleet.stop())

  for (const [n, round] of ROUNDS.entries()) {
    const names = round.tunnels.map(({ says }) => says.slice(4)).join(', ')
    describe(`over ${round.outer}: ${names}`, () => {
      before(async () => {
        await fleet.applyIntent(intentOf(round), ANY_CHANGE)
        await fleet.converged()
        if (n > 0) return
        // Behind TUN a UDP server must answer from the VIP, which is there from now on.
        for (const name of REAL_SERVERS)
          for (const { vip } of VIPS) await fleet.lab.serveUdp(name, { port: 53, bind: vip })
      })

      it('is what the directors were told, and why', async () => {
        const answer = (await fleet.controller.call(
          'GET',
          '/v1/virtual-services/web-a/explain',
        )) as {
          choices: { realServer: string; forwarding: string; service: string }[]
        }
        const told = new Map(answer.choices.map((item) => [item.realServer, item.forwarding]))
        assert.deepEqual(
          REAL_SERVERS.map((name) => told.get(name)),
          round.tunnels.map(({ says }) => says),
        )
      })

      for (const { inner, vip, client } of VIPS) {
        const url = inner === 'v4' ? `http://${vip}/` : `http://[${vip}]/`

        it(`${inner} inside: requests over TCP reach each real server`, async () => {
          assert.deepEqual(
            await fleet.lab.get('cl-a', { url, n: 8 }),
            Object.fromEntries(REAL_SERVERS.map((name) => [`${name}:80 from=${client}`, 2])),
          )
        })

        it(`${inner} inside: an upload of a megabyte reaches each real server`, async () => {
          const uploads = { url, n: 4, par: 2, upload: MEGABYTE, timeoutMs: 20_000 }
          assert.deepEqual(
            await fleet.lab.get('cl-a', uploads),
            Object.fromEntries(
              REAL_SERVERS.map((name) => [`${name}:80 from=${client} got=${MEGABYTE}`, 1]),
            ),
          )
        })

        it(`${inner} inside: datagrams reach each real server`, async () => {
          assert.deepEqual(
            await fleet.lab.udp('cl-a', { address: vip, port: 53, n: 4, timeoutMs: 3000 }),
            Object.fromEntries(REAL_SERVERS.map((name) => [`${name}:53 from=${client}`, 1])),
          )
        })
      }
    })
  }

  it('a changed tunnel is an edit: an established connection goes on', async () => {
    await fleet.applyIntent(
      intentOf({ outer: 'v4', tunnels: [IPIP, IPIP, IPIP, IPIP] }),
      ANY_CHANGE,
    )
    await fleet.converged()
    const held = await Promise.all(
      REAL_SERVERS.map(() => fleet.lab.hold('cl-a', { url: 'http://10.1.0.100/' })),
    )
    const servers = held.map(({ first }) => first.answerer.replace(/:.*$/, '')).toSorted()
    assert.deepEqual(servers, [...REAL_SERVERS])
    const counted = async () => connectionsOf(await fleet.lab.sh('dir-a', 'ipvsadm -Ln --stats'))
    const earlier = await counted()
    assert.ok(earlier > 0)
    await fleet.applyIntent(intentOf(MIXED), ANY_CHANGE)
    await fleet.converged()
    for (const hold of held) {
      const { bytes } = await hold.status()
      await eventually(async () => {
        const now = await hold.status()
        assert.ok(now.bytes > bytes && now.alive, 'data still arrives')
      })
      await hold.close()
    }
    // The kernel sums its counters every two seconds, so the newest may come late.
    assert.ok((await counted()) >= earlier, 'counters go on from where they were')
  })

  const STRANGERS = [
    {
      name: 'GUE',
      server: 'rs-b2',
      device:
        'type ipip local 10.1.9.2 remote 10.2.0.12 encap gue encap-sport auto encap-dport 7000',
      arrives: 'udp dst port 7000 and src host 10.1.9.2',
      own: 'type ipip local 10.2.0.12 remote 10.1.9.2',
    },
    {
      name: 'GRE',
      server: 'rs-a2',
      device: 'type gre local 10.1.9.2 remote 10.1.0.12',
      arrives: 'ip proto 47 and src host 10.1.9.2',
      own: 'type gre local 10.1.0.12 remote 10.1.9.2',
    },
  ] as const
  for (const { name, server, device, arrives, own } of STRANGERS) {
    it(`${name} is taken off from the directors of the fleet and from nobody else`, async () => {
      const { lab } = fleet
      // A stranger sends the same inner packet, to the VIP that the real server holds, by a tunnel of its own.
      await lab.sh('cl-a', `ip link add evil ${device} && ip link set evil up`)
      await lab.sh('cl-a', 'ip route add 10.1.0.100/32 dev evil src 10.1.9.2')
      const arrivals = await lab.capture(server, { interface: 'eth0', filter: arrives })
      const answers = await lab.get('cl-a', { url: 'http://10.1.0.100/', n: 2 })
      const arrived = await arrivals.stop()
      assert.deepEqual(
        Object.keys(answers).filter((answer) => answer.startsWith('rs-')),
        [],
      )
      assert.ok(arrived.length > 0, 'its packets did arrive')
      // Nothing but the missing device for this sender stood in their way.
      await lab.sh(
        server,
        `ip link add own ${own} && ip link set own up && sysctl -qw net.ipv4.conf.own.rp_filter=0`,
      )
      await lab.sh(server, `ip addr add ${own.split(' ')[3]}/32 dev own`)
      const taken = await lab.get('cl-a', { url: 'http://10.1.0.100/', n: 2 })
      assert.deepEqual(taken, { [`${server}:80 from=10.1.9.2`]: 2 })
      await lab.sh(server, 'ip link del own')
      await lab.sh('cl-a', 'ip link del evil')
      const regular = await lab.get('cl-a', { url: 'http://10.1.0.100/', n: 4 })
      assert.equal(Object.keys(regular).length, 4, 'by the director it goes on')
    })
  }

  it('takes devices and ports back when the intent goes', async () => {
    await fleet.applyIntent({ ...intentOf(MIXED), virtualServices: {} }, ANY_CHANGE)
    await fleet.converged()
    for (const name of REAL_SERVERS) {
      await eventually(async () => {
        const left = await fleet.lab.sh(name, 'ip -o link show; ip fou show')
        assert.doesNotMatch(left, /lvsf|port/)
      })
    }
  })

  it('sets up every tunnel without an agent from the rendered script, and takes it back', async () => {
    for (const name of REAL_SERVERS) await fleet.stopAgent(name)
    await fleet.applyIntent(intentOf(MIXED), ANY_CHANGE)
    await fleet.converged(['dir-a', 'dir-b'])
    for (const name of REAL_SERVERS) {
      const path = `/v1/hosts/real-server/${name}/script`
      const script = await (await fleet.controller.request('GET', path)).text()
      await fleet.lab.writeFile(`/root/${name}.sh`, script)
      await fleet.lab.sh(name, `sh /root/${name}.sh && sh /root/${name}.sh`)
    }
    for (const { vip } of VIPS) {
      const url = vip.includes(':') ? `http://[${vip}]/` : `http://${vip}/`
      const answers = await fleet.lab.get('cl-a', { url, n: 8, upload: 100_000, timeoutMs: 10_000 })
      assert.equal(Object.keys(answers).length, 4, JSON.stringify(answers))
    }
    for (const name of REAL_SERVERS) {
      const left = await fleet.lab.sh(
        name,
        `sh /root/${name}.sh remove; ip -o link show; ip fou show`,
      )
      assert.doesNotMatch(left, /lvsf|port/)
    }
  })
})

/** The intent of the README with one tunnel a real server, which has addresses of the outer family only. */
function intentOf({ outer, tunnels }: Round) {
  const document = twoSiteIntent()
  const { realServers = {}, virtualServices = {} } = document
  for (const [i, name] of REAL_SERVERS.entries()) {
    const site = name.includes('-a') ? 'a' : 'b'
    const id = `${site === 'a' ? 1 : 2}`
    const host = `1${name.at(-1)}`
    const address = outer === 'v4' ? `10.${id}.0.${host}` : `fd0${id}::${host}`
    realServers[name] = { site, addresses: [address], ...tunnels[i]?.server }
  }
  const web = { ...virtualServices['web-a'], scheduler: 'rr', forwarding: 'tun', drainSeconds: 0 }
  const dns = { ...web, protocol: 'udp', ports: [53], flags: ['one-packet'] }
  return { ...document, realServers, virtualServices: { 'web-a': web, 'dns-a': dns } }
}

/** Connections of the first virtual service over all its destinations, as ipvsadm counts them. */
function connectionsOf(stats: string): number {
  const line = stats.split('\n').find((text) => text.startsWith('TCP  10.1.0.100:80'))
  return Number(line?.trim().split(/\s+/)[2])
}
