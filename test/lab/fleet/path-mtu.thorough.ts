/**
 * A path that lies: the intent says 1500 bytes, the link between the sites carries less. The director finds out by
 * itself, says which path, what was computed and what passes, and is content again when the link is.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { pathReportSchema, type PathReport } from '@lvs-fleet/contract'
import * as z from 'zod'
import { eventually } from './eventually.ts'
import { FleetLab, twoSiteIntent } from './fleet-lab.ts'

const EAT_IPV4 = 'iptables-legacy -A OUTPUT -p icmp -j DROP || iptables -A OUTPUT -p icmp -j DROP'
/** One path after the other, each with a second for every datagram that nobody answers. */
const PATIENT = { withinMs: 240_000, everyMs: 500 }
/** Two looks at a narrow path, 15 seconds apart. */
const SOON = { withinMs: 45_000, everyMs: 500 }
const hostSchema = z.object({ paths: pathReportSchema.nullable() })

type Round = {
  readonly name: string
  readonly servers: readonly string[]
  readonly realServers: Readonly<Record<string, object>>
  readonly vips: readonly string[]
  /** Paths over the link, and the sizes that were computed for 1500 and pass at 1400. */
  readonly narrow: readonly string[]
}

const BOTH = ['10.1.0.100', 'fd01::100']
const ROUNDS: readonly Round[] = [
  {
    name: 'ipip and gre, IPv4 and IPv6',
    servers: ['rs-a1', 'rs-b1', 'rs-b2'],
    realServers: { 'rs-b2': { decapsulates: ['gre'] } },
    vips: BOTH,
    narrow: [
      'rs-b1 ipv4 to 10.2.0.11 by tun ipip: 1380 of 1480',
      'rs-b1 ipv6 to fd02::11 by tun ipip: 1360 of 1460',
      'rs-b2 ipv4 to 10.2.0.12 by tun gre: 1376 of 1476',
      'rs-b2 ipv6 to fd02::12 by tun gre: 1356 of 1456',
    ],
  },
  {
    name: 'gue, IPv4 and IPv6',
    servers: ['rs-a1', 'rs-b1'],
    realServers: { 'rs-b1': { decapsulates: ['gue'] } },
    vips: BOTH,
    narrow: [
      'rs-b1 ipv4 to 10.2.0.11 by tun gue 6080: 1368 of 1468',
      'rs-b1 ipv6 to fd02::11 by tun gue 6080: 1348 of 1448',
    ],
  },
]

describe('the MTU of paths', () => {
  let fleet: FleetLab

  before(async () => {
    fleet = await FleetLab.start()
  })
  after(async () => fleet?.stop())

  for (const [n, round] of ROUNDS.entries()) {
    describe(round.name, () => {
      before(async () => {
        await fleet.applyIntent(intentOf(round), '?allowShrink=true')
        // The first round has all hosts of the others.
        const fresh = n === 0 ? ['dir-a', ...round.servers] : []
        // Seconds instead of minutes, so that a test sees more than one measuring.
        for (const name of fresh) await fleet.startAgent(name, { pathSeconds: 2 })
        await fleet.converged(['dir-a'], 120_000)
      })

      it('is no alarm where paths carry what was computed', async () => {
        await isHealthy(fleet, round)
      })

      it('names path, computed and measured size when the link carries less, and says so', async () => {
        await fleet.lab.sh('rt-a', 'ip link set wan mtu 1400')
        await seesNarrow(fleet, round)
        const doctor = fleet.agentCommand('dir-a', 'doctor', '--json', '--only', 'path-mtu')
        const { stdout } = await fleet.lab.run('dir-a', doctor, { timeoutMs: 120_000 })
        assert.match(stdout, /carries 13\d\d of 14\d\d bytes/)
      })

      it('is content again when the link is', async () => {
        await fleet.lab.sh('rt-a', 'ip link set wan mtu 1500')
        // What a router said is believed for ten minutes (mtu_expires, ip-sysctl.rst).
        await fleet.lab.sh('dir-a', 'ip route flush cache; ip -6 route flush cache')
        await isHealthy(fleet, round)
      })

      it('finds the same where the router says nothing', async () => {
        await fleet.lab.sh('rt-a', EAT_ICMP)
        await fleet.lab.sh('rt-a', 'ip link set wan mtu 1400')
        await seesNarrow(fleet, round)
        await fleet.lab.sh('rt-a', `ip link set wan mtu 1500; ${LET_ICMP}`)
        await isHealthy(fleet, round)
      })

      // The tunnel makes no difference to these.
      if (n > 0) return

      it('finds a switch of the own network that takes only small frames, by DR', async () => {
        // A bridge leaves room for the 4 bytes of a VLAN tag (is_skb_forwardable, net/core/dev.c).
        await fleet.lab.sh('rt-a', 'ip link set s-rs-a1 mtu 1400')
        await eventually(async () => {
          const { narrow } = await pathsOf(fleet)
          assert.deepEqual(narrow.map(lineOf).toSorted(), [
            'rs-a1 ipv4 to 10.1.0.11 by dr: 1404 of 1500',
            'rs-a1 ipv6 to fd01::11 by dr: 1404 of 1500',
          ])
        }, PATIENT)
        await fleet.lab.sh('rt-a', 'ip link set s-rs-a1 mtu 1500')
        await isHealthy(fleet, round)
      })

      it('ends an alarm soon after its cause, long before the path is measured again', async () => {
        await fleet.lab.sh('rt-a', 'ip link set wan mtu 1400')
        await restart(fleet, 300)
        await seesNarrow(fleet, round)
        await fleet.lab.sh('rt-a', 'ip link set wan mtu 1500')
        await fleet.lab.sh('dir-a', 'ip route flush cache; ip -6 route flush cache')
        await isHealthy(fleet, round, SOON)
        await restart(fleet, 2)
      })

      it('is unknown, and no alarm, where nothing answers at all', async () => {
        await fleet.lab.sh('rs-a1', EAT_IPV4)
        await eventually(async () => assert.equal((await pathsOf(fleet)).unknownCount, 1), PATIENT)
        assert.equal((await alarm(fleet)).status, false)
        await fleet.lab.sh('rs-a1', LET_ICMP)
        await isHealthy(fleet, round)
      })
    })
  }
})

async function seesNarrow(fleet: FleetLab, round: Round): Promise<void> {
  await eventually(async () => {
    const { narrow } = await pathsOf(fleet)
    assert.deepEqual(narrow.map(lineOf).toSorted(), round.narrow)
  }, PATIENT)
  const { status, message } = await alarm(fleet)
  assert.equal(status, true)
  assert.match(message, /^path to rs-b\d \(ipv\d to .* by tun .*\) carries 13\d\d of 14\d\d bytes/)
}

/** With seconds from one measuring of a path to its next. */
async function restart(fleet: FleetLab, pathSeconds: number): Promise<void> {
  await fleet.stopAgent('dir-a')
  await fleet.startAgent('dir-a', { enrol: false, pathSeconds })
  await fleet.converged(['dir-a'], 120_000)
}

async function isHealthy(fleet: FleetLab, round: Round, patience = PATIENT): Promise<void> {
  await eventually(async () => assert.deepEqual(await pathsOf(fleet), healthy(round)), patience)
  assert.equal((await alarm(fleet)).status, false)
}

function healthy({ servers, vips }: Round): PathReport {
  return { narrow: [], narrowCount: 0, fittingCount: servers.length * vips.length, unknownCount: 0 }
}

async function pathsOf(fleet: FleetLab): Promise<PathReport> {
  const { paths } = hostSchema.parse(await fleet.controller.call('GET', '/v1/hosts/director/dir-a'))
  assert.ok(paths !== null, 'nothing was measured yet')
  return paths
}

function alarm(fleet: FleetLab): Promise<{ status: boolean; message: string }> {
  return fleet.condition('dir-a', 'mtu-too-small')
}

function lineOf({ realServer, path, carries, mtu }: PathReport['narrow'][number]): string {
  return `${realServer} ${path}: ${carries} of ${mtu}`
}

function intentOf({ servers, realServers, vips }: Round): unknown {
  const document = twoSiteIntent()
  for (const [name, fields] of Object.entries(realServers)) {
    document['realServers'] = {
      ...document['realServers'],
      [name]: { ...document['realServers']?.[name], ...fields },
    }
  }
  document['pools'] = { web: { members: servers.map((realServer) => ({ realServer })) } }
  const { 'web-a': web } = document['virtualServices'] ?? {}
  document['virtualServices'] = { 'web-a': { ...web, vips, drainSeconds: 0 } }
  return document
}

/** User-Mode Linux has the legacy tables only. */
const EAT_ICMP = `${EAT_IPV4}
  ip6tables-legacy -A OUTPUT -p icmpv6 --icmpv6-type packet-too-big -j DROP || ip6tables -A OUTPUT -p icmpv6 --icmpv6-type packet-too-big -j DROP`
const LET_ICMP =
  'for c in iptables-legacy iptables ip6tables-legacy ip6tables; do $c -F OUTPUT 2>/dev/null; done; true'
