/**
 * A marked socket goes where its mark's service leads, through the same tunnel as a client's packets, and a datagram
 * that may not be fragmented tells what fits: every method and tunnel, IPv4 and IPv6 inside and outside, on a
 * director that holds the VIP and on one that does not.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  familyOf,
  ip,
  type Family,
  type Forwarding,
  type Ip,
  type Op,
  type ServiceRef,
} from '@lvs-fleet/contract'
import { startLab, type Lab } from '../lab.ts'
import { plainDestination, plainService } from './errno-rows.ts'
import type { Call } from './guest/dial.ts'
import { assertDone, bundleKernelGuest, KernelGuest, nodeCommand } from './kernel-guest.ts'

const VIPS = { ipv4: ip('10.1.0.100'), ipv6: ip('fd01::100') } as const
const SOURCES = { ipv4: ip('10.1.0.10'), ipv6: ip('fd01::10') } as const
const FAR = [ip('10.2.0.11'), ip('fd02::11')]
const NEAR = { ipv4: ip('10.1.0.11'), ipv6: ip('fd01::11') } as const
const TUNNELS: readonly { forwarding: Forwarding; header: number }[] = [
  { forwarding: { method: 'tun', tunnel: { type: 'ipip' } }, header: 0 },
  { forwarding: { method: 'tun', tunnel: { type: 'gre', checksum: false } }, header: 4 },
  {
    forwarding: { method: 'tun', tunnel: { type: 'gue', port: 6080, checksum: 'none' } },
    header: 12,
  },
]

type Row = {
  readonly name: string
  readonly mark: number
  readonly inner: Family
  readonly address: Ip
  readonly port: number
  readonly forwarding: Forwarding
  readonly answers: string
  /** Bytes of the largest packet that fits at MTU 1500. */
  readonly mtu: number
}

const ROWS: readonly Row[] = (['ipv4', 'ipv6'] as const)
  .flatMap((inner): Omit<Row, 'mark'>[] => [
    ...FAR.flatMap((address) =>
      TUNNELS.map(({ forwarding, header }) => ({
        name: `${forwarding.method === 'tun' ? forwarding.tunnel.type : ''}, ${inner} in ${familyOf(address)}`,
        inner,
        address,
        port: 0,
        forwarding,
        answers: 'rs-b1:80',
        mtu: 1500 - header - (familyOf(address) === 'ipv4' ? 20 : 40),
      })),
    ),
    {
      name: `dr, ${inner}`,
      inner,
      address: NEAR[inner],
      port: 0,
      forwarding: { method: 'dr' },
      answers: 'rs-a1:80',
      mtu: 1500,
    },
    {
      name: `nat to another port, ${inner}`,
      inner,
      address: NEAR[inner],
      port: 8080,
      forwarding: { method: 'nat' },
      answers: 'rs-a1:8080',
      mtu: 1500,
    },
  ])
  .map((row, n) => ({ ...row, mark: 0x4d00_0000 + n }))

/** Of the traceroute range: nobody listens. */
const CLOSED = 33_434

describe('paths', { timeout: 300_000 }, () => {
  let lab: Lab

  before(async () => {
    await bundleKernelGuest()
    lab = await startLab()
    await lab.sh('rs-b1', FAR_SETUP)
    await lab.sh('rs-a1', NEAR_SETUP)
    await lab.serve('rs-b1', { ports: [80] })
    await lab.serve('rs-a1', { ports: [80, 8080] })
    const kernel = new KernelGuest(lab, 'dir-a')
    assertDone(await kernel.apply(ROWS.flatMap(opsOf)))
  })
  after(async () => lab?.stop())

  const dial = async (calls: readonly Call[]): Promise<string[]> =>
    JSON.parse(
      await lab.sh('dir-a', nodeCommand('dial'), {
        stdin: JSON.stringify(calls),
        timeoutMs: 120_000,
      }),
    ) as string[]

  for (const holds of [false, true]) {
    describe(holds ? 'on a director that holds the VIPs' : 'on a director without the VIPs', () => {
      before(async () => {
        if (holds) await lab.sh('dir-a', HOLD_VIPS)
      })

      it('TCP is answered by the real server of the mark', async () => {
        const answers = await dial(ROWS.map((row) => ({ do: 'get', to: toOf(row, 80) })))
        assert.deepEqual(
          ROWS.map(({ name }, n) => `${name}: ${answers[n]}`),
          ROWS.map(({ name, inner, answers: who }) => `${name}: ${who} from=${SOURCES[inner]}`),
        )
      })

      it('a datagram of the computed size arrives, and one byte more does not fit', async () => {
        const rows = ROWS.filter(({ forwarding }) => forwarding.method === 'tun')
        const fates = await dial(
          rows.flatMap((row): Call[] => [
            { do: 'datagram', to: toOf(row, CLOSED), bytes: row.mtu },
            { do: 'datagram', to: toOf(row, CLOSED), bytes: row.mtu + 1 },
          ]),
        )
        assert.deepEqual(
          rows.map(({ name }, n) => `${name}: ${fates[2 * n]}, ${fates[2 * n + 1]}`),
          rows.map(({ name }) => `${name}: arrived, too-big`),
        )
      })
    })
  }

  it('DR: a datagram as large as the network arrives', async () => {
    const rows = ROWS.filter(({ forwarding }) => forwarding.method === 'dr')
    const calls = rows.map((row): Call => ({
      do: 'datagram',
      to: toOf(row, CLOSED),
      bytes: row.mtu,
    }))
    assert.deepEqual(await dial(calls), ['arrived', 'arrived'])
  })

  it('a router that eats what is too large, and ICMP with it, is silence; smaller ones arrive', async () => {
    await lab.sh('rt-a', 'ip link set wan mtu 1400')
    await lab.sh('rt-a', EAT_ICMP)
    const rows = ROWS.filter(({ forwarding }) => forwarding.method === 'tun')
    const fates = await dial(
      rows.flatMap((row): Call[] => [
        { do: 'datagram', to: toOf(row, CLOSED), bytes: row.mtu },
        { do: 'datagram', to: toOf(row, CLOSED), bytes: row.mtu - 100 },
      ]),
    )
    assert.deepEqual(
      rows.map(({ name }, n) => `${name}: ${fates[2 * n]}, ${fates[2 * n + 1]}`),
      // IPv6 in IPv4 has no DF on the outside (ip_vs_prepare_tunneled_skb), so the router cuts it up instead.
      rows.map(
        ({ name }) => `${name}: ${name.endsWith('ipv6 in ipv4') ? 'arrived' : 'silent'}, arrived`,
      ),
    )
  })
})

function toOf(row: Row, port: number) {
  return { mark: row.mark, source: SOURCES[row.inner], address: VIPS[row.inner], port }
}

function opsOf(row: Row): Op[] {
  const service: ServiceRef = { protocol: 'fwmark', firewallMark: row.mark, family: row.inner }
  const destination = { address: row.address, port: row.port }
  const to = { ...plainDestination, forwarding: row.forwarding }
  return [
    { kind: 'service.create', service, to: plainService },
    { kind: 'destination.create', service, destination, to },
  ]
}

const NO_LIMITS = 'sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0'
const FAR_SETUP = [
  NO_LIMITS,
  'ip link add t1 type ipip local 10.2.0.11 remote 10.1.0.10',
  'ip link add t2 type sit local 10.2.0.11 remote 10.1.0.10',
  'ip link add t3 type ip6tnl mode any local fd02::11 remote fd01::10',
  'ip link add t4 type gre local 10.2.0.11 remote 10.1.0.10',
  'ip link add t5 type ip6gre local fd02::11 remote fd01::10',
  'ip fou add port 6080 gue local 10.2.0.11',
  'ip fou add port 6080 gue -6 local fd02::11',
  'sysctl -qw net.ipv4.conf.all.rp_filter=0',
  'for t in t1 t2 t3 t4 t5; do ip link set $t up; sysctl -qw net.ipv4.conf.$t.rp_filter=0; done',
  'ip link add vips type dummy; ip link set vips up',
  'ip addr add 10.1.0.100/32 dev vips; ip addr add fd01::100/128 dev vips nodad',
].join('\n')
/** NAT: answers return through the director; DR: the VIPs stand where ARP and NDP do not see them. */
const NEAR_SETUP = [
  NO_LIMITS,
  'sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2',
  'ip link add vips type dummy; ip link set vips up',
  'ip addr add 10.1.0.100/32 dev vips; ip addr add fd01::100/128 dev vips nodad',
].join('\n')
const HOLD_VIPS = [
  'ip addr add 10.1.0.100/32 dev eth0',
  'ip addr add fd01::100/128 dev eth0 nodad preferred_lft 0',
  'sysctl -qw net.ipv4.conf.eth0.accept_local=1',
].join('\n')
const EAT_ICMP = [
  'iptables-legacy -A OUTPUT -p icmp -j DROP || iptables -A OUTPUT -p icmp -j DROP',
  'ip6tables-legacy -A OUTPUT -p icmpv6 --icmpv6-type packet-too-big -j DROP || ip6tables -A OUTPUT -p icmpv6 --icmpv6-type packet-too-big -j DROP',
].join('\n')
