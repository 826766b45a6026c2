/**
 * The doctor on real kernels: a healthy fleet has no finding, and each fault, made one at a time, breaks
 * traffic as described, is named by exactly its check, and is healed by --fix or by the printed command.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { findingSchema, type Finding } from '@lvs-fleet/contract'
import * as z from 'zod'
import type { Histogram } from '../protocol.ts'
import { eventually } from './eventually.ts'
import { DIRECTORS, FleetLab, REAL_SERVERS, roleOf, twoSiteIntent } from './fleet-lab.ts'

const answerSchema = z.object({ findings: z.array(findingSchema) })
/** Six probes with the least priority share two emulated processors. */
const PATIENT = { withinMs: 180_000, everyMs: 500 }
/** An agent asks a path that is too narrow every 15 seconds. */
const HEALED = { withinMs: 45_000, everyMs: 500 }
const VIP = 'http://10.1.0.100/'

/** `brief`: what every test run can wait for, one of the faults; `thorough`: all of them. */
export function doctorSuite(depth: 'brief' | 'thorough'): void {
  describe(`the doctor, ${depth}`, () => examinations(depth))
}

function examinations(depth: 'brief' | 'thorough'): void {
  let fleet: FleetLab

  before(async () => {
    fleet = await FleetLab.start()
    if (depth === 'brief') return fleet.bringUp()
    await fleet.serveAll()
    await fleet.applyIntent(twoSiteIntent())
    // One after the other: each also tries its kernel, which is work for an emulated one.
    for (const name of [...DIRECTORS, ...REAL_SERVERS]) {
      await fleet.startAgent(name, { selfChecks: true })
      await fleet.converged([name], 120_000)
    }
  })
  after(async () => fleet.stop())

  if (depth === 'thorough') {
    it('knows what the kernels can, and has looked for scratch namespaces to vanish', async () => {
      await eventually(async () => {
        for (const name of [...DIRECTORS, ...REAL_SERVERS]) {
          const { report } = (await fleet.controller.call('GET', hostPath(name))) as HostAnswer
          assert.equal(report?.capabilities?.ipvs, 'yes', name)
        }
      }, PATIENT)
      const { report } = (await fleet.controller.call('GET', hostPath('dir-a'))) as HostAnswer
      const known = report?.capabilities
      // Debian builds every scheduler but twos; the User-Mode kernel too.
      assert.deepEqual(
        Object.entries(known?.schedulers ?? {}).filter(([, verdict]) => verdict !== 'yes'),
        [['twos', 'no']],
      )
      assert.deepEqual(known?.tunnels, { ipip: 'yes', gre: 'yes', gue: 'yes' })
      assert.ok(Object.values(known?.decapsulation ?? {}).every((verdict) => verdict === 'yes'))
      assert.deepEqual([known?.syncDaemon, known?.connectionTableSize], ['yes', 4096])
      const left = await fleet.lab.sh('dir-a', 'ip link; ipvsadm -Sn; nft list tables || true')
      assert.doesNotMatch(left, /lvsprobe|192\.0\.2\.1:/)
    })

    it('a scheduler that a director has not is refused before it is published', async () => {
      const answer = await fleet.controller.request(
        'PATCH',
        '/v1/virtual-services/web-a?force=true',
        { scheduler: 'twos' },
      )
      assert.equal(answer.status, 422)
      assert.match(await answer.text(), /director dir-a: its kernel .* has no scheduler twos/)
    })

    it('has nothing to report of a healthy fleet', async () => {
      await eventually(async () => {
        for (const name of [...DIRECTORS, ...REAL_SERVERS]) {
          const { report } = (await fleet.controller.call('GET', hostPath(name))) as HostAnswer
          assert.deepEqual([name, report?.doctor], [name, { findings: [], findingCount: 0 }])
        }
      }, PATIENT)
      assert.deepEqual(await fleet.controller.call('GET', '/v1/doctor'), {
        items: [],
        nextCursor: null,
      })
    })
  }

  it('finds nothing on a healthy fleet', async () => {
    const looked = depth === 'brief' ? ['dir-a', 'rs-b1'] : [...DIRECTORS, ...REAL_SERVERS]
    for (const name of looked) {
      const { code, findings } = await examine(fleet, name)
      assert.deepEqual([name, findings, code], [name, [], 0])
    }
  })

  const tunnel = `$(ip -o link show type ipip | grep -o 'lvsf-[0-9a-f]*' | head -1)`
  const ROWS: {
    name: string
    host: string
    /** Made with the agent stopped, as if it had died: a living one mends within seconds. */
    break: string
    url?: string
    upload?: number
    client?: string
    fails: RegExp
    checks: string[]
    /** The printed command; where there is none, --fix heals. */
    byCommand?: true
    brief?: true
  }[] = [
    {
      name: 'a VIP missing on the director',
      host: 'dir-a',
      break: 'ip addr del 10.1.0.100/32 dev eth0',
      fails: /^TIMEOUT$/,
      checks: ['vip-on-director'],
    },
    {
      name: 'a destination that somebody took away',
      host: 'dir-a',
      break:
        'for r in $(ipvsadm -Sn | grep -e "-a -t 10.1.0.100:80" | grep -o "r [0-9.:]*" | cut -c3-); do ipvsadm -d -t 10.1.0.100:80 -r $r; done',
      fails: /^ERR ECONNREFUSED$/,
      checks: ['kernel-table', 'no-live-destination'],
    },
    {
      name: 'an IPv6 VIP that is picked as a source',
      host: 'dir-a',
      break: 'ip -6 addr change fd01::100/128 dev eth0 preferred_lft forever valid_lft forever',
      url: 'http://[fd01::100]/',
      fails: /^(TIMEOUT|ERR)/,
      checks: ['vip6-preferred'],
    },
    {
      name: 'a VIP missing on a real server',
      host: 'rs-b1',
      break: 'ip addr del 10.1.0.100/32 dev lvsfleet0',
      fails: /^TIMEOUT$/,
      checks: ['vip-on-real-server'],
    },
    {
      name: 'a strict reverse path filter on the tunnel device',
      host: 'rs-b1',
      break: `sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.${tunnel}.rp_filter=1`,
      fails: /^TIMEOUT$/,
      checks: ['rp-filter'],
      brief: true,
    },
    {
      name: 'a tunnel device that is down',
      host: 'rs-b1',
      break: `ip link set ${tunnel} down`,
      fails: /^ERR ECONNREFUSED$/,
      checks: ['tunnel-device'],
    },
    {
      name: 'an interface that does not carry the packets of the tunnel',
      host: 'rs-b1',
      break: 'ip link set eth0 mtu 1400',
      upload: 300_000,
      fails: /^TIMEOUT$/,
      checks: ['path-mtu', 'path-mtu'],
      byCommand: true,
    },
  ]
  for (const row of ROWS.filter(({ brief }) => depth === 'thorough' || brief)) {
    it(`${row.name}: traffic fails, ${row.checks.join(' and ')} says so, and it heals`, async () => {
      const { lab } = fleet
      const traffic = () =>
        lab.get(row.client ?? 'cl-a', {
          url: row.url ?? VIP,
          n: 8,
          timeoutMs: row.upload === undefined ? 1_000 : 4_000,
          ...(row.upload === undefined ? {} : { upload: row.upload }),
        })
      await fleet.stopAgent(row.host)
      await lab.sh(row.host, row.break)
      assert.ok(
        Object.keys(await traffic()).some((answer) => row.fails.test(answer)),
        'traffic did not fail',
      )

      const ill = await examine(fleet, row.host)
      assert.deepEqual(checksOf(ill.findings), row.checks, JSON.stringify(ill.findings, null, 1))
      assert.equal(ill.code, 6)

      if (row.byCommand === true) {
        const command = ill.findings[0]?.commands[0] ?? ''
        await lab.sh(row.host, command)
      }
      const healed = await examine(fleet, row.host, ...(row.byCommand ? [] : ['--fix']))
      assert.deepEqual([healed.findings, healed.code], [[], 0], healed.output)
      await eventually(async () => {
        const answers = await traffic()
        assert.deepEqual(serversOf(answers), [...REAL_SERVERS], JSON.stringify(answers))
      }, PATIENT)
      await fleet.startAgent(row.host, { enrol: false })
      await fleet.converged([row.host])
      // What a router said is believed for ten minutes (mtu_expires, ip-sysctl.rst), and so is the finding till then.
      if (row.checks.includes('path-mtu')) {
        await lab.sh('dir-a', 'ip route flush cache; ip -6 route flush cache')
        await eventually(async () => {
          assert.deepEqual((await examine(fleet, 'dir-a')).findings, [])
        }, HEALED)
      }
    })
  }

  if (depth === 'brief') return

  /** Hosts that answer ARP for the VIP. */
  const answering = async (): Promise<number> => {
    const command = 'busybox arping -c 3 -w 4 -I servers 10.1.0.100 || true'
    const text = await fleet.lab.sh('rt-a', command)
    return new Set([...text.matchAll(/\[([0-9a-f:]{17})\]/gi)].map((match) => match[1])).size
  }

  it('somebody put the VIP on eth0 of a real server: it answers ARP, and the printed command ends that', async () => {
    const { lab } = fleet
    await lab.sh('rs-a1', 'ip addr add 10.1.0.100/24 dev eth0')
    assert.equal(await answering(), 2)
    const ill = await examine(fleet, 'rs-a1')
    assert.deepEqual([checksOf(ill.findings), ill.code], [['vip-on-other-interface'], 6])
    await lab.sh('rs-a1', ill.findings[0]?.commands[0] ?? '')
    assert.equal(await answering(), 1)
    assert.deepEqual((await examine(fleet, 'rs-a1')).findings, [])
    assert.match(await lab.sh('rs-a1', 'ip addr show lvsfleet0'), /inet 10\.1\.0\.100\/32/)
    await lab.sh('rt-a', 'ip neigh flush to 10.1.0.100')
    assert.deepEqual(serversOf(await lab.get('cl-a', { url: VIP, n: 8 })), [...REAL_SERVERS])
  })

  it('arp_ignore gone: two hosts answer ARP for the VIP, and after --fix one does', async () => {
    const { lab } = fleet
    const macOf = async (host: string): Promise<string | undefined> =>
      /link\/ether (\S+)/.exec(await lab.sh(host, 'ip link show eth0'))?.[1]
    assert.equal(await answering(), 1)
    await fleet.stopAgent('rs-a1')
    await lab.sh(
      'rs-a1',
      'sysctl -qw net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.all.arp_announce=0',
    )
    assert.equal(await answering(), 2)
    const ill = await examine(fleet, 'rs-a1')
    assert.deepEqual(checksOf(ill.findings), ['arp-sysctls', 'arp-sysctls'])
    const seen = (await examine(fleet, 'dir-a')).findings
    assert.deepEqual(checksOf(seen), ['vip-duplicate'])
    assert.equal(seen[0]?.found, `another host answers ARP for it: ${await macOf('rs-a1')}`)
    const healed = await examine(fleet, 'rs-a1', '--fix')
    assert.deepEqual([healed.findings, healed.code], [[], 0])
    assert.equal(await answering(), 1)
    assert.deepEqual((await examine(fleet, 'dir-a')).findings, [])
    assert.doesNotMatch(await lab.sh('dir-a', 'ip neigh'), /^10\.1\.0\.100 /m)
    // Neighbours that believed the wrong one must forget it; the finding says so.
    await lab.sh('rt-a', 'ip neigh flush to 10.1.0.100')
    assert.deepEqual(serversOf(await lab.get('cl-a', { url: VIP, n: 8 })), [...REAL_SERVERS])
    await fleet.startAgent('rs-a1', { enrol: false })
    await fleet.converged(['rs-a1'])
  })

  it('strict uRPF at the edge of the other site: its share hangs, and its handshakes are named', async () => {
    const { lab } = fleet
    const edge = (value: number) =>
      lab.sh('rt-b', `sysctl -qw net.ipv4.conf.servers.rp_filter=${value}`)
    await edge(1)
    // Many more than what the tests before left in the connection table.
    const hanging = await lab.get('cl-a', { url: VIP, n: 160, par: 40 })
    assert.equal(hanging['TIMEOUT'], 80, JSON.stringify(hanging))
    const { findings, code } = await examine(fleet, 'dir-a')
    assert.deepEqual(
      [findings.map(({ check, object }) => `${check} ${object}`).toSorted(), code],
      [['handshakes rs-b1 10.2.0.11 by tun', 'handshakes rs-b2 10.2.0.12 by tun'], 5],
    )
    await edge(2)
    const answers = await lab.get('cl-a', { url: VIP, n: 320, par: 4 })
    assert.deepEqual(serversOf(answers), [...REAL_SERVERS], JSON.stringify(answers))
    assert.deepEqual((await examine(fleet, 'dir-a')).findings, [])
  })

  it('an interface that merges packets is named, and only on a director', async () => {
    const { lab } = fleet
    await lab.sh('root', 'modprobe bonding')
    for (const host of ['dir-a', 'rs-a1']) {
      await lab.sh(host, 'ip link add bond9 type bond && ip addr add 10.5.0.1/32 dev bond9')
    }
    const { findings, code } = await examine(fleet, 'dir-a')
    assert.deepEqual(
      [findings.map(({ check, object }) => `${check} ${object}`), code],
      [['large-receive interface bond9'], 5],
    )
    assert.deepEqual((await examine(fleet, 'rs-a1')).findings, [])
    for (const host of ['dir-a', 'rs-a1']) await lab.sh(host, 'ip link del bond9')
    assert.deepEqual((await examine(fleet, 'dir-a')).findings, [])
  })

  it('a sync daemon that somebody stopped: named, and --fix starts it', async () => {
    const { lab } = fleet
    const document = twoSiteIntent()
    const sync = (peer: string, role: string) => ({
      with: peer,
      network: 'servers',
      syncId: 7,
      role,
    })
    document['directors'] = {
      ...document['directors'],
      'dir-a': { ...document['directors']?.['dir-a'], sync: sync('dir-c', 'master') },
      'dir-c': {
        site: 'a',
        addresses: ['10.1.0.20'],
        state: 'disabled',
        sync: sync('dir-a', 'backup'),
      },
    }
    await fleet.applyIntent(document)
    await fleet.converged(DIRECTORS)
    assert.deepEqual((await examine(fleet, 'dir-a')).findings, [])
    await fleet.stopAgent('dir-a')
    await lab.sh('dir-a', 'ipvsadm --stop-daemon master')
    const { findings, code } = await examine(fleet, 'dir-a')
    assert.deepEqual([checksOf(findings), code], [['sync-daemon'], 5])
    assert.deepEqual((await examine(fleet, 'dir-a', '--fix')).findings, [])
    assert.match(await lab.sh('dir-a', 'ipvsadm -L --daemon'), /^master sync daemon/)
    await fleet.startAgent('dir-a', { enrol: false })
    await fleet.applyIntent(twoSiteIntent(), '?allowShrink=true')
    await fleet.converged(DIRECTORS)
  })

  it('no forwarding on a director that does NAT: clients hang, --fix heals', async () => {
    const { lab } = fleet
    const document = twoSiteIntent()
    document['realServers'] = {
      ...document['realServers'],
      'rs-a2': { ...document['realServers']?.['rs-a2'], gateway: 'dir-a' },
    }
    document['pools'] = {
      ...document['pools'],
      nat: { members: [{ realServer: 'rs-a2', port: 8080 }] },
    }
    document['virtualServices'] = {
      ...document['virtualServices'],
      nat: { vips: ['10.1.0.103'], ports: [80], pool: 'nat', carriedBy: { sites: ['a'] } },
    }
    await lab.serve('rs-a2', { ports: [8080] })
    await lab.sh('rs-a2', 'ip route replace default via 10.1.0.10')
    await fleet.applyIntent(document)
    await fleet.converged()
    const traffic = () => lab.get('cl-a', { url: 'http://10.1.0.103/', n: 2 })
    assert.deepEqual(await traffic(), { 'rs-a2:8080 from=10.1.9.2': 2 })
    assert.deepEqual((await examine(fleet, 'dir-a')).findings, [])

    await fleet.stopAgent('dir-a')
    await lab.sh('dir-a', 'sysctl -qw net.ipv4.ip_forward=0')
    assert.deepEqual(await traffic(), { TIMEOUT: 2 })
    assert.deepEqual(checksOf((await examine(fleet, 'dir-a')).findings), ['nat-forwarding'])
    assert.deepEqual((await examine(fleet, 'dir-a', '--fix')).findings, [])
    assert.deepEqual(await traffic(), { 'rs-a2:8080 from=10.1.9.2': 2 })

    await fleet.startAgent('dir-a', { enrol: false })
    await fleet.applyIntent(twoSiteIntent(), '?allowShrink=true')
    await lab.sh('rs-a2', 'ip route replace default via 10.1.0.1')
    await fleet.converged()
  })

  it('all weights 0: clients are refused at once, and the intent heals it', async () => {
    const members = (weight: number) => ({
      members: REAL_SERVERS.map((realServer) => ({ realServer, weight })),
    })
    await fleet.controller.call('PATCH', '/v1/pools/web?force=true', members(0))
    await fleet.converged(DIRECTORS)
    assert.deepEqual(await fleet.lab.get('cl-a', { url: VIP, n: 4 }), { 'ERR ECONNREFUSED': 4 })
    const { findings, code } = await examine(fleet, 'dir-a')
    assert.deepEqual(checksOf(findings), ['no-live-destination', 'no-live-destination'])
    assert.equal(code, 6)
    await fleet.controller.call('PATCH', '/v1/pools/web?force=true', members(100))
    await fleet.converged(DIRECTORS)
    assert.deepEqual(serversOf(await fleet.lab.get('cl-a', { url: VIP, n: 8 })), [...REAL_SERVERS])
    assert.deepEqual((await examine(fleet, 'dir-a')).findings, [])
  })

  it('decapsulation open to all: a stranger gets in, the fleet hears of it, the command closes it', async () => {
    const { lab } = fleet
    await lab.sh('rs-b1', 'ip link set tunl0 up && ip addr add 10.2.0.11/32 dev tunl0')
    await lab.sh(
      'cl-a',
      'ip link add evil type ipip local 10.1.9.2 remote 10.2.0.11 && ip link set evil up && ip route add 10.2.0.100/32 dev evil',
    )
    const stranger = () => lab.get('cl-a', { url: 'http://10.2.0.100/', n: 2 })
    assert.deepEqual(serversOf(await stranger()), ['rs-b1'])
    const { findings, code } = await examine(fleet, 'rs-b1')
    assert.deepEqual([checksOf(findings), code], [['decapsulation-open'], 5])

    // A start looks at once: five minutes are too long for a test.
    await fleet.stopAgent('rs-b1')
    await fleet.startAgent('rs-b1', { enrol: false, selfChecks: true })
    await eventually(async () => {
      const { items } = (await fleet.controller.call('GET', '/v1/doctor?severity=risk')) as {
        items: { name: string; check: string }[]
      }
      assert.deepEqual(
        items.map(({ name, check }) => `${name} ${check}`),
        ['rs-b1 decapsulation-open'],
      )
    }, PATIENT)

    await lab.sh('rs-b1', findings[0]?.commands[0] ?? '')
    assert.deepEqual(serversOf(await stranger()), [])
    assert.deepEqual((await examine(fleet, 'rs-b1')).findings, [])
    await lab.sh('cl-a', 'ip link del evil')
    await lab.sh('rs-b1', 'ip addr del 10.2.0.11/32 dev tunl0')
  })

  it('a foreign manager is named with what it made, and only in its own network namespace', async () => {
    const { lab } = fleet
    const config =
      'virtual_server 10.1.0.200 80 {\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n real_server 10.1.0.11 80 {\n  weight 1\n }\n}\n'
    await lab.writeFile('/root/keepalived.conf', config)
    const keepalived = await lab.spawn(
      'dir-a',
      [
        'keepalived',
        '-n',
        '-l',
        '-C',
        '-f',
        '/root/keepalived.conf',
        '-p',
        '/run/ka.pid',
        '-c',
        '/run/kac.pid',
      ],
      { name: 'keepalived' },
    )
    await eventually(async () => {
      assert.match((await lab.ipvsadm('dir-a')).join('\n'), /10\.1\.0\.200:80/)
    }, PATIENT)
    const { findings, code } = await examine(fleet, 'dir-a')
    assert.deepEqual([checksOf(findings), code], [['foreign-manager'], 5])
    assert.match(findings[0]?.found ?? '', /tcp\/10\.1\.0\.200:80/)
    assert.deepEqual((await examine(fleet, 'dir-b')).findings, [])
    await keepalived.kill('SIGTERM')
    await keepalived.exited
    await lab.run('dir-a', 'ipvsadm -D -t 10.1.0.200:80')
    assert.deepEqual((await examine(fleet, 'dir-a')).findings, [])
  })
}

type HostAnswer = {
  report: {
    capabilities: {
      ipvs: string
      connectionTableSize: number
      schedulers: Record<string, string>
      tunnels: Record<string, string>
      decapsulation: Record<string, string>
      syncDaemon: string
    } | null
    doctor: unknown
  } | null
}

function hostPath(name: string): string {
  return `/v1/hosts/${roleOf(name)}/${name}`
}

async function examine(
  fleet: FleetLab,
  name: string,
  ...options: readonly string[]
): Promise<{ findings: Finding[]; code: number | null; output: string }> {
  const command = fleet.agentCommand(name, 'doctor', '--json', ...options)
  const { code, stdout, stderr } = await fleet.lab.run(name, command, { timeoutMs: 120_000 })
  const parsed = answerSchema.safeParse(stdout === '' ? undefined : JSON.parse(stdout))
  assert.ok(parsed.success, `${name}: ${stdout}${stderr}`)
  return { findings: parsed.data.findings, code, output: stdout + stderr }
}

function checksOf(findings: readonly Finding[]): string[] {
  return findings.map(({ check }) => check).toSorted()
}

function serversOf(answers: Histogram): string[] {
  const names = Object.keys(answers).map((answer) => answer.split(':')[0] ?? '')
  return [...new Set(names)].filter((name) => name.startsWith('rs-')).toSorted()
}
