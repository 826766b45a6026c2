/**
 * The compiler's table of kernel rules against a real kernel: what the table refuses, the kernel refuses or
 * does something else with; what lies just beside it, both take.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  destinationConfig,
  serviceConfig,
  unknownCapabilities,
  type DestinationState,
  type Op,
  type EndpointService,
  type ServiceState,
} from '@lvs-fleet/contract'
import { kernelProblems } from '../../../services/api/src/compile/check-kernels.ts'
import { DESTINATION_RULES, SERVICE_RULES } from '../../../services/api/src/compile/kernel-rules.ts'
import { destination, hostState, service } from '../../fakes/states.ts'
import { startLab, type Lab } from '../lab.ts'
import { bundleKernelGuest, KernelGuest } from './kernel-guest.ts'

const V4 = '10.1.0.100'
const V6 = 'fd01::100'
const tun = { method: 'tun', tunnel: { type: 'ipip' } } as const
const nat = { method: 'nat' } as const
const persistence = (prefixLength: number) => ({ timeoutSeconds: 60, prefixLength, engine: null })

type Row = {
  readonly rule: string
  /** What the kernel answers to the last op: an errno, or ok. */
  readonly answer: string
  readonly vip?: string
  readonly to?: readonly DestinationState[]
  readonly fields?: Partial<Omit<EndpointService, 'address' | 'destinations'>>
}

/** Refusals, each beside what is just allowed. */
const ROWS: readonly Row[] = [
  { rule: 'scheduler-missing', answer: 'ok', fields: { scheduler: 'mh' } },
  { rule: 'netmask-ipv6', answer: 'EINVAL', vip: V6, fields: { persistence: persistence(129) } },
  { rule: 'netmask-ipv6', answer: 'EINVAL', vip: V6, fields: { persistence: persistence(0) } },
  { rule: 'netmask-ipv6', answer: 'ok', vip: V6, fields: { persistence: persistence(1) } },
  { rule: 'netmask-ipv6', answer: 'ok', vip: V6, fields: { persistence: persistence(128) } },
  { rule: 'family-mix', answer: 'EINVAL', to: [destination('fd02::11')] },
  { rule: 'family-mix', answer: 'EINVAL', to: [destination('fd02::11', { forwarding: nat })] },
  {
    rule: 'family-mix',
    answer: 'EINVAL',
    to: [destination('fd01::10', { forwarding: { method: 'local' } })],
  },
  { rule: 'family-mix', answer: 'EINVAL', vip: V6, to: [destination('10.2.0.11')] },
  { rule: 'family-mix', answer: 'ok', to: [destination('fd02::11', { forwarding: tun })] },
  {
    rule: 'family-mix',
    answer: 'ok',
    vip: V6,
    to: [destination('10.2.0.11', { forwarding: tun })],
  },
  { rule: 'tunnel-missing', answer: 'ok', to: [destination('10.2.0.11', { forwarding: tun })] },
  {
    rule: 'threshold-order',
    answer: 'ERANGE',
    to: [destination('10.1.0.11', { lowerThreshold: 5 })],
  },
  {
    rule: 'threshold-order',
    answer: 'ERANGE',
    to: [destination('10.1.0.11', { lowerThreshold: 5, upperThreshold: 4 })],
  },
  {
    rule: 'threshold-order',
    answer: 'ok',
    to: [destination('10.1.0.11', { lowerThreshold: 5, upperThreshold: 5 })],
  },
  { rule: 'not-unicast', answer: 'EINVAL', to: [destination('224.0.0.1')] },
  { rule: 'not-unicast', answer: 'EINVAL', to: [destination('255.255.255.255')] },
  { rule: 'not-unicast', answer: 'EINVAL', to: [destination('0.0.0.0')] },
  { rule: 'not-unicast', answer: 'EINVAL', vip: V6, to: [destination('ff02::1')] },
  { rule: 'not-unicast', answer: 'EINVAL', vip: V6, to: [destination('fe80::1')] },
  { rule: 'not-unicast', answer: 'ok', vip: V6, to: [destination('fd01::11')] },
  {
    rule: 'destination-twice',
    answer: 'EEXIST',
    to: [destination('10.1.0.11'), destination('10.1.0.11')],
  },
  {
    rule: 'destination-twice',
    answer: 'ok',
    to: [
      destination('10.1.0.11', { forwarding: nat }),
      destination('10.1.0.11', { port: 81, forwarding: nat }),
    ],
  },
]

/** Shown by packets below: the kernel takes them. */
const TAKEN = [
  'one-packet-tcp',
  'one-packet-persistent',
  'one-packet-nat',
  'hash-flag',
  'port-translation',
  'loopback-nat',
]

describe('the table of kernel rules', { timeout: 300_000 }, () => {
  let lab: Lab
  let guest: KernelGuest

  before(async () => {
    await bundleKernelGuest()
    lab = await startLab()
    guest = new KernelGuest(lab, 'dir-b')
    await lab.sh('dir-a', `ip addr add ${V4}/32 dev eth0`)
    for (const name of ['rs-a1', 'rs-a2']) {
      await lab.sh(
        name,
        `cd /proc/sys/net/ipv4/conf/all; echo 1 > arp_ignore; echo 2 > arp_announce; ip addr add ${V4}/32 dev lo`,
      )
      await lab.serve(name, { ports: [80, 8080] })
      await lab.serveUdp(name, { port: 53, bind: V4 })
    }
  })
  after(async () => lab.stop())

  it('refuses what the kernel refuses, and takes what it takes', async () => {
    const { code } = await lab.run('dir-b', 'modinfo ip_vs_twos')
    const hasTwos = code === 0
    // What the probe finds on this kernel: that of Debian 12 has every scheduler but one, that of Debian 13 has all.
    const capabilities = {
      ...unknownCapabilities('debian'),
      schedulers: hasTwos ? {} : { twos: 'no' as const },
    }
    const answer = hasTwos ? 'ok' : 'ENOENT'
    const rows = [
      { rule: 'scheduler-missing', answer, fields: { scheduler: 'twos' } },
      ...ROWS,
    ] as const
    const ops = rows.map((row, i) => opsOf(stateOf(row, i)))
    const codes = await guest.codes(ops.flat())
    let at = 0
    for (const [i, row] of rows.entries()) {
      at += ops[i]?.length ?? 0
      const told = kernelProblems(
        [{ role: 'director', name: 'dir-b', state: hostState([stateOf(row, i)]) }],
        new Map([['dir-b', capabilities]]),
      )
      const what = `${row.rule} ${JSON.stringify(row)} told ${told[0]?.message ?? 'nothing'}`
      assert.equal(codes[at - 1], row.answer, what)
      assert.equal(told.length > 0, row.answer !== 'ok', what)
    }
  })

  it('has a row or a packet for each rule', () => {
    const shown = new Set([...ROWS.map(({ rule }) => rule), ...TAKEN])
    const rules = [...SERVICE_RULES, ...DESTINATION_RULES].map(({ id }) => id)
    assert.deepEqual(
      rules.filter((id) => !shown.has(id)),
      [],
    )
  })

  it('every scheduler of the vocabulary but perhaps twos is there, and gre and gue are tunnels', async () => {
    await lab.sh(
      'dir-b',
      [
        'for s in rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh; do ipvsadm -A -t 10.9.0.1:80 -s $s && ipvsadm -D -t 10.9.0.1:80 || exit 1; done',
        'ipvsadm -A -t 10.9.0.1:80 -s rr',
        'ipvsadm -a -t 10.9.0.1:80 -r 10.2.0.11 -i --tun-type gre',
        'ipvsadm -a -t 10.9.0.1:80 -r 10.2.0.12 -i --tun-type gue --tun-port 6080',
        'ipvsadm -D -t 10.9.0.1:80',
      ].join(' && '),
    )
  })

  it('mixed families exclude the sync daemon, both ways', async () => {
    const mixed = 'ipvsadm -a -t 10.9.0.2:80 -r [fd02::11]:80 -i'
    const start = 'ipvsadm --start-daemon master --mcast-interface eth0 --syncid 7'
    // What other cases left is mixed too.
    await lab.sh('dir-b', 'ipvsadm -C')
    await lab.sh('dir-b', `ipvsadm -A -t 10.9.0.2:80 -s rr && ${mixed} && ! ${start} 2>/dev/null`)
    await lab.sh(
      'dir-b',
      `ipvsadm -d -t 10.9.0.2:80 -r [fd02::11]:80 && ${start} && ! ${mixed} 2>/dev/null`,
    )
    await lab.sh('dir-b', 'ipvsadm --stop-daemon master && ipvsadm -D -t 10.9.0.2:80')
  })

  const program = (...lines: string[]) =>
    lab.sh('dir-a', ['ipvsadm -C', ...lines.map((line) => `ipvsadm ${line}`)].join(' && '))

  it('port-translation: DR to another port is answered on the port of the virtual service', async () => {
    await program(`-A -t ${V4}:80 -s rr`, `-a -t ${V4}:80 -r 10.1.0.11:8080 -g`)
    const answers = await lab.get('cl-a', { url: `http://${V4}/`, n: 2 })
    assert.deepEqual(answers, { 'rs-a1:80 from=10.1.9.2': 2 })
  })

  it('loopback-nat: NAT to 127.0.0.1 never answers, local to it does', async () => {
    await lab.serve('dir-a', { ports: [80] })
    await program(`-A -t ${V4}:80 -s rr`, `-a -t ${V4}:80 -r 127.0.0.1:80 -m`)
    assert.deepEqual(await lab.get('cl-a', { url: `http://${V4}/`, n: 2 }), { TIMEOUT: 2 })
    await program(`-A -t ${V4}:80 -s rr`, `-a -t ${V4}:80 -r 127.0.0.1:80 -g`)
    assert.deepEqual(await lab.get('cl-a', { url: `http://${V4}/`, n: 2 }), {
      'dir-a:80 from=10.1.9.2': 2,
    })
    await lab.unserve('dir-a')
  })

  const both = (flag: string, address: string, port: number) =>
    ['10.1.0.11', '10.1.0.12'].map((rip) => `-a ${flag} ${address}:${port} -r ${rip} -g`)
  const take = async (row: ServiceState): Promise<void> => {
    const [code] = await new KernelGuest(lab, 'dir-a').codes(opsOf(row).slice(0, 1))
    assert.equal(code, 'ok')
  }

  it('one-packet-tcp: taken, and TCP is scheduled by connection all the same', async () => {
    await lab.sh('dir-a', 'ipvsadm -C')
    await take(service(V4, [], { scheduler: 'rr', flags: ['one-packet'] }))
    for (const line of both('-t', V4, 80)) await lab.sh('dir-a', `ipvsadm ${line}`)
    const answers = await lab.get('cl-a', { url: `http://${V4}/`, n: 4 })
    assert.deepEqual(Object.values(answers), [2, 2])
    assert.match(await lab.sh('dir-a', 'ipvsadm -Lcn'), /TCP .* 10\.1\.0\.100:80/)
  })

  it('one-packet-persistent: taken, and every packet of a client goes to one server', async () => {
    const fields = { scheduler: 'rr', protocol: 'udp', port: 53, flags: ['one-packet'] } as const
    const ask = async (held: ServiceState['persistence']) => {
      await lab.sh('dir-a', 'ipvsadm -C')
      await take(service(V4, [], { ...fields, flags: [...fields.flags], persistence: held }))
      for (const line of both('-u', V4, 53)) await lab.sh('dir-a', `ipvsadm ${line}`)
      return Object.keys(await lab.udp('cl-a', { address: V4, port: 53, n: 6 })).length
    }
    assert.deepEqual([await ask(null), await ask(persistence(32))], [2, 1])
  })

  it('one-packet-nat: taken, and the answer leaves with an address that the client never asked', async () => {
    const rip = '10.1.0.11'
    await lab.serveUdp('rs-a1', { port: 54, bind: rip })
    await lab.sh(
      'dir-a',
      'cd /proc/sys/net/ipv4; echo 1 > ip_forward; echo 0 > conf/all/send_redirects; echo 0 > conf/eth0/send_redirects',
    )
    await lab.sh(
      'rs-a1',
      `ip rule add from ${rip} lookup 100; ip route add default via 10.1.0.10 table 100`,
    )
    const ask = () => lab.udp('cl-a', { address: V4, port: 54, n: 2 })
    await program(`-A -u ${V4}:54 -s rr -o`, `-a -u ${V4}:54 -r ${rip}:54 -m`)
    const capture = await lab.capture('cl-a', { filter: 'udp src port 54' })
    assert.deepEqual(await ask(), { TIMEOUT: 2 })
    assert.match((await capture.stop()).join('\n'), / 10\.1\.0\.11\.54 > 10\.1\.9\.2\./)
    await program(`-A -u ${V4}:54 -s rr`, `-a -u ${V4}:54 -r ${rip}:54 -m`)
    assert.deepEqual(await ask(), { 'rs-a1:54 from=10.1.9.2': 2 })
  })

  it('hash-flag: taken and kept, and a scheduler that does not hash balances as ever', async () => {
    await lab.sh('dir-a', 'ipvsadm -C')
    await take(service(V4, [], { scheduler: 'rr', flags: ['port'] }))
    for (const line of both('-t', V4, 80)) await lab.sh('dir-a', `ipvsadm ${line}`)
    const { services } = await new KernelGuest(lab, 'dir-a').listServices()
    assert.deepEqual(services[0]?.flags, ['port'])
    const answers = await lab.get('cl-a', { url: `http://${V4}/`, n: 4 })
    assert.deepEqual(Object.values(answers), [2, 2])
  })
})

/** Each row on a port of its own, so that one process can do all. */
function stateOf({ vip = V4, to = [], fields }: Row, index: number): ServiceState {
  const port = 1_000 + index
  const destinations = to.map((one) => ({ ...one, port: one.port === 80 ? port : one.port }))
  return service(vip, destinations, { port, ...fields })
}

function opsOf(row: ServiceState): Op[] {
  const make: Op = { kind: 'service.create', service: row, to: serviceConfig(row) }
  return [
    make,
    ...row.destinations.map((one): Op => ({
      kind: 'destination.create',
      service: row,
      destination: one,
      to: destinationConfig(one),
    })),
  ]
}
