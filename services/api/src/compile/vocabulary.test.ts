/** The vocabulary of IPVS from intent to one director's state: rows of fields → services, marks, settings, problems. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import {
  describeForwarding,
  hostPartSchema,
  markKey,
  serviceKey,
  serviceStateSchema,
  type HostState,
} from '@lvs-fleet/contract'
import { parse } from 'yaml'
import { edit, twoSites, type FleetText } from '../../../../test/fixtures/two-sites.ts'
import { fleetFromDocument, fleetSchema } from '../intent/fleet.ts'
import { validateFleet } from '../intent/validate.ts'
import { renderScript } from '../render/render-script.ts'
import { compileFleet, type Compiled } from './compile.ts'
import { explainVirtualService } from './explain/virtual-service.ts'
import { SINGLE_PORTS_MAX } from './listeners.ts'

type Change = (fleet: FleetText) => void

const web =
  (fields: Record<string, unknown>): Change =>
  (fleet) =>
    edit(fleet, 'virtualServices', 'web-a', fields)
const dir =
  (fields: Record<string, unknown>): Change =>
  (fleet) =>
    edit(fleet, 'directors', 'dir-a', fields)
/** dir-a with a pair of its own; both VIPs stay where they are. */
const synced =
  (fields: Record<string, unknown> = {}): Change =>
  (fleet) => {
    const sync = { network: 'servers', syncId: 7, ...fields }
    dir({ sync: { ...sync, with: 'dir-a2', role: 'both' } })(fleet)
    edit(fleet, 'directors', 'dir-a2', {
      site: 'a',
      addresses: ['10.1.0.20'],
      sync: { ...sync, with: 'dir-a', role: 'both' },
    })
    edit(fleet, 'virtualServices', 'web-a', { carriedBy: { directors: ['dir-a'] } })
  }
const all =
  (...changes: Change[]): Change =>
  (fleet) =>
    changes.forEach((change) => change(fleet))

function compiled(change: Change): Compiled {
  const fleet = twoSites(change)
  assert.deepEqual(validateFleet(fleet), [])
  return compileFleet(fleet)
}

function stateOf(change: Change, host = 'director/dir-a'): HostState {
  const { hosts, problems } = compiled(change)
  assert.deepEqual(problems, [])
  const found = hosts.get(host)
  assert.ok(found !== undefined)
  return found.state
}

const keys = (change: Change) => stateOf(change).services.map(serviceKey)
const marks = (change: Change) =>
  stateOf(change).marks.map((mark) => `${markKey(mark)} ${mark.mark.toString(16)}`)
/** FNV-1a of `web-a` in the reserved range. */
const WEB_A = stateOf(web({ ports: ['1-100'] })).marks[0]?.mark ?? 0

describe('ports become services', () => {
  it('each alone while they are few', () => {
    assert.deepEqual(keys(web({ vips: ['10.1.0.100'], ports: [443, '80-81'] })), [
      'tcp/10.1.0.100:80',
      'tcp/10.1.0.100:81',
      'tcp/10.1.0.100:443',
    ])
    assert.deepEqual(marks(web({ ports: [`1-${SINGLE_PORTS_MAX}`] })), [])
    assert.equal(keys(web({ vips: ['fd01::100'], ports: ['1-16'] })).length, 16)
  })

  it('one for each family when they are many, with a mark for every range and VIP', () => {
    const change = web({
      vips: ['10.1.0.100', '10.1.0.101', 'fd01::100'],
      ports: [80, '8000-8999'],
    })
    const mark = WEB_A.toString(16)
    assert.match(mark, /^4c[0-9a-f]{6}$/)
    assert.deepEqual(keys(change), [`fwmark/${WEB_A}/ipv4`, `fwmark/${WEB_A}/ipv6`])
    assert.deepEqual(marks(change), [
      `tcp/10.1.0.100:80 ${mark}`,
      `tcp/10.1.0.100:8000-8999 ${mark}`,
      `tcp/10.1.0.101:80 ${mark}`,
      `tcp/10.1.0.101:8000-8999 ${mark}`,
      `tcp/[fd01::100]:80 ${mark}`,
      `tcp/[fd01::100]:8000-8999 ${mark}`,
    ])
    const [first] = stateOf(change).services
    assert.deepEqual(
      first?.destinations.map((d) => `${d.address}:${d.port} ${describeForwarding(d.forwarding)}`),
      ['10.1.0.11:0 dr', '10.1.0.12:0 dr', '10.2.0.11:0 tun ipip', '10.2.0.12:0 tun ipip'],
    )
  })

  it('none marked by us where the operator marks', () => {
    const change = web({ ports: [], firewallMark: 7 })
    assert.deepEqual(keys(change), ['fwmark/7/ipv4', 'fwmark/7/ipv6'])
    assert.deepEqual(marks(change), [])
    assert.equal(stateOf(change).addresses.length, 2)
    // Real servers hold the VIPs all the same.
    const held = stateOf(change, 'real-server/rs-a1').addresses.map(({ address }) => `${address}`)
    assert.ok(held.includes('10.1.0.100') && held.includes('fd01::100'))
  })

  it('a VIP that leaves a marked service stays as long as connections may drain', () => {
    assert.equal(stateOf(web({ ports: ['1-100'], drainSeconds: 77 })).lingerSeconds, 77)
    assert.equal(stateOf(web({ drainSeconds: 77 })).lingerSeconds, 0)
  })

  it('a member with a port of its own takes all ports there, by NAT alone', () => {
    const change = all(web({ vips: ['10.1.0.100'], ports: ['8000-8999'] }), (fleet) => {
      edit(fleet, 'realServers', 'rs-a1', { gateway: 'dir-a' })
      edit(fleet, 'pools', 'web', { members: [{ realServer: 'rs-a1', port: 9000 }] })
      delete fleet['virtualServices']?.['web-b']
    })
    const [service] = stateOf(change).services
    assert.deepEqual(
      service?.destinations.map((d) => [d.port, d.forwarding.method]),
      [[9000, 'nat']],
    )
  })

  it('SCTP as any other protocol, and no MSS for it', () => {
    const change = all(web({ protocol: 'sctp' }), (fleet) => {
      delete fleet['virtualServices']?.['web-b']
    })
    assert.deepEqual(keys(change), ['sctp/10.1.0.100:80', 'sctp/[fd01::100]:80'])
    assert.deepEqual(stateOf(change, 'real-server/rs-b1').clamps, [])
  })

  it('the engine and mask of persistence by family', () => {
    const persistence = { timeoutSeconds: 60, prefixLengthIpv4: 24, engine: 'sip' }
    assert.deepEqual(
      stateOf(web({ protocol: 'udp', persistence })).services.map((one) => one.persistence),
      [24, 128].map((prefixLength) => ({ timeoutSeconds: 60, prefixLength, engine: 'sip' })),
    )
  })

  it('states that an agent can read, whatever they say', () => {
    const change = all(
      web({ ports: ['1-100'] }),
      synced(),
      dir({
        ipvs: { timeouts: { udpSeconds: 30 }, syncThreshold: { packets: 3, period: 50 } },
      }),
    )
    const { services, ...host } = stateOf(change)
    assert.deepEqual(hostPartSchema.parse(JSON.parse(JSON.stringify(host))), host)
    for (const service of services) {
      assert.deepEqual(serviceStateSchema.parse(JSON.parse(JSON.stringify(service))), service)
    }
  })
})

describe('settings of IPVS', () => {
  const sysctls = (change: Change) =>
    stateOf(change)
      .sysctls.filter(({ key }) => key.startsWith('net.ipv4.vs.'))
      .map(({ key, value }) => `${key.replace('net.ipv4.vs.', '')}=${value}`)
  const ROWS: { name: string; change: Change; want: string[] }[] = [
    { name: 'only what methods need', change: () => {}, want: ['conn_reuse_mode=2'] },
    {
      name: 'persistent services must be able to drain',
      change: web({ persistence: { timeoutSeconds: 60 } }),
      want: ['conn_reuse_mode=2', 'expire_quiescent_template=1'],
    },
    {
      name: 'unless the operator says otherwise',
      change: all(
        web({ persistence: { timeoutSeconds: 60 } }),
        dir({ ipvs: { connReuseMode: 1, expireQuiescentTemplate: false } }),
      ),
      want: ['conn_reuse_mode=1', 'expire_quiescent_template=0'],
    },
    {
      name: 'every field has its sysctl',
      change: dir({
        ipvs: {
          expireNodestConn: true,
          conntrack: true,
          sloppyTcp: true,
          sloppySctp: true,
          backupOnly: true,
          ignoreTunneled: true,
          syncThreshold: { packets: 3, period: 50 },
          syncRefreshPeriodSeconds: 10,
          syncRetries: 2,
          syncPorts: 4,
          syncPersistMode: false,
          syncQueueMax: 1000,
          syncSocketBytes: 0,
        },
      }),
      want: [
        'conn_reuse_mode=2',
        'expire_nodest_conn=1',
        'conntrack=1',
        'sloppy_tcp=1',
        'sloppy_sctp=1',
        'backup_only=1',
        'ignore_tunneled=1',
        'sync_threshold=3\t50',
        'sync_refresh_period=10',
        'sync_retries=2',
        'sync_ports=4',
        'sync_persist_mode=0',
        'sync_qlen_max=1000',
        'sync_sock_size=0',
      ],
    },
  ]
  for (const { name, change, want } of ROWS) {
    it(name, () => assert.deepEqual(sysctls(change), want))
  }

  it('timeouts that are 0 are left alone', () => {
    const change = dir({ ipvs: { timeouts: { tcpSeconds: 3600, udpSeconds: 30 } } })
    assert.deepEqual(stateOf(change).timeouts, [
      { name: 'tcp', seconds: 3600 },
      { name: 'udp', seconds: 30 },
    ])
    assert.deepEqual(stateOf(() => {}).timeouts, [])
  })

  it('a pair syncs over the network of both, by the address that each has there', () => {
    const change = synced()
    const daemon = {
      place: { holding: '10.1.0.10' },
      syncId: 7,
      group: '224.0.0.81',
      port: 8848,
      ttl: 1,
      maxlen: null,
    }
    assert.deepEqual(stateOf(change).syncDaemons, [
      { role: 'master', ...daemon },
      { role: 'backup', ...daemon },
    ])
    const peer = stateOf(change, 'director/dir-a2').syncDaemons.map(({ place }) => place)
    assert.deepEqual(peer, [{ holding: '10.1.0.20' }, { holding: '10.1.0.20' }])
    const six = stateOf(synced({ group: 'ff02::81' })).syncDaemons.map(({ place }) => place)
    assert.deepEqual(six, [{ holding: 'fd01::10' }, { holding: 'fd01::10' }])
    const named = stateOf(synced({ network: null, interface: 'eth1' })).syncDaemons
    assert.deepEqual(named[0]?.place, { device: 'eth1' })
  })
})

describe('refused, with the field and the reason', () => {
  const other =
    (fields: Record<string, unknown>): Change =>
    (fleet) =>
      edit(fleet, 'virtualServices', 'web-b', {
        vips: ['10.1.0.100'],
        carriedBy: { sites: ['a'] },
        ...fields,
      })
  const ROWS: { name: string; change: Change; pointer: string; code: string; says: RegExp }[] = [
    {
      name: 'a port within the range of another virtual service',
      change: all(web({ ports: ['1-100'] }), other({ ports: [80] })),
      pointer: '/virtualServices/web-b/ports',
      code: 'port-overlap',
      says: /80-80 of tcp 10\.1\.0\.100 overlaps 1-100 of virtual service web-a on dir-a/,
    },
    {
      name: 'two ranges that overlap',
      change: all(web({ ports: ['1-100'] }), other({ ports: ['100-200'] })),
      pointer: '/virtualServices/web-b/ports',
      code: 'port-overlap',
      says: /100-200 .* overlaps 1-100/,
    },
    {
      name: 'one firewall mark of two virtual services',
      change: all(
        web({ ports: [], firewallMark: 7 }),
        other({ ports: [], firewallMark: 7, vips: ['10.1.0.101'] }),
      ),
      pointer: '/virtualServices/web-b/firewallMark',
      code: 'vip-overlap',
      says: /fwmark\/7\/ipv4 is carried by dir-a for virtual service web-a already/,
    },
    {
      name: 'two names that choose one mark',
      change: (fleet) => {
        const body = { ports: ['1-100'], pool: 'web', carriedBy: { sites: ['a'] } }
        const [one, two] = collidingNames()
        edit(fleet, 'virtualServices', one, { ...body, vips: ['10.1.0.101'] })
        edit(fleet, 'virtualServices', two, { ...body, vips: ['10.1.0.102'] })
      },
      pointer: `/virtualServices/${collidingNames()[1]}/ports`,
      code: 'mark-collision',
      says: /rename one of the two/,
    },
    {
      name: 'a port that a range cannot translate',
      change: all(web({ ports: ['1-100'] }), (fleet) =>
        edit(fleet, 'pools', 'web', { members: [{ realServer: 'rs-b1', port: 80 }] }),
      ),
      pointer: '/pools/web/members/0',
      code: 'no-forwarding',
      says: /cannot translate many ports to 80: only NAT can/,
    },
    {
      name: 'mixed families on a director that syncs',
      change: all(synced(), (fleet) =>
        edit(fleet, 'realServers', 'rs-b1', { addresses: ['fd02::11'] }),
      ),
      pointer: '/pools/web/members/2',
      code: 'sync-mixed-family',
      says: /dir-a syncs connections, so rs-b1 at fd02::11 cannot answer for 10\.1\.0\.100/,
    },
  ]
  for (const { name, change, pointer, code, says } of ROWS) {
    it(name, () => {
      const found = compiled(change).problems.find((one) => one.code === code)
      assert.equal(found?.pointer, pointer)
      assert.match(found?.message ?? '', says)
    })
  }

  it('the same ports of another protocol, or at another VIP, are no overlap', () => {
    const change = web({ ports: ['1-100'] })
    for (const fields of [{ protocol: 'udp' }, { vips: ['10.1.0.101'] }]) {
      assert.deepEqual(compiled(all(change, other({ ports: ['1-100'], ...fields }))).problems, [])
    }
  })
})

describe('worth saying', () => {
  const members =
    (...fields: object[]): Change =>
    (fleet) =>
      edit(fleet, 'pools', 'web', {
        members: fields.map((one, i) => ({ realServer: i === 0 ? 'rs-a1' : 'rs-b1', ...one })),
      })
  const even = members({}, {})
  const uneven = members({ weight: 1 }, { weight: 2 })
  const limited = members({ upperThreshold: 10 }, {})
  const ROWS: { name: string; change: Change; want: string[] }[] = [
    { name: 'nothing of wlc', change: all(web({ scheduler: 'wlc' }), uneven), want: [] },
    ...['lblc', 'lblcr', 'dh'].map((scheduler) => ({
      name: `${scheduler} is for caches`,
      change: all(web({ scheduler }), even),
      want: ['scheduler-cache'],
    })),
    {
      name: 'weights that rr does not read',
      change: all(web({ scheduler: 'rr' }), uneven),
      want: ['scheduler-weights'],
    },
    {
      name: 'weight 0 is read by all',
      change: all(web({ scheduler: 'rr' }), members({ weight: 0 }, { weight: 2 })),
      want: [],
    },
    {
      name: 'weights in the table of mh',
      change: all(web({ scheduler: 'mh' }), uneven),
      want: ['scheduler-weights'],
    },
    {
      name: 'thresholds under sh',
      change: all(web({ scheduler: 'sh' }), limited),
      want: ['scheduler-thresholds'],
    },
    {
      name: 'thresholds under sh that falls back',
      change: all(web({ scheduler: 'sh', flags: ['fallback'] }), limited),
      want: [],
    },
    {
      name: 'one half of a pair',
      change: all(synced(), (fleet) => edit(fleet, 'directors', 'dir-a2', { sync: null })),
      want: ['sync-pair'],
    },
  ]
  for (const { name, change, want } of ROWS) {
    it(name, () => {
      const codes = compiled(change).warnings.map(({ code }) => code)
      assert.deepEqual(codes, want)
    })
  }
})

describe('seen by people', () => {
  it('the example says no more than is possible', () => {
    const text = readFileSync(
      new URL('../../../../examples/vocabulary.yaml', import.meta.url),
      'utf8',
    )
    const fleet = fleetFromDocument(fleetSchema.parse(parse(text)))
    assert.deepEqual(validateFleet(fleet), [])
    const { problems, warnings, hosts } = compileFleet(fleet)
    assert.deepEqual([problems, warnings], [[], []])
    assert.deepEqual(
      hosts
        .get('director/dir-a')
        ?.state.services.map((one) => one.protocol)
        .toSorted(),
      ['fwmark', 'fwmark', 'fwmark', 'sctp', 'udp', 'udp'],
    )
  })

  it('explain names the mark and leaves the port open', () => {
    const [first] = explainVirtualService(twoSites(web({ ports: ['1-100'] })), 'web-a')
    assert.equal(first?.service, `fwmark/${WEB_A}/ipv4`)
    assert.equal(first.port, 0)
  })

  it('the script says marks, engines, SCTP, timeouts and daemons as an operator would', () => {
    const change = all(
      synced(),
      web({
        vips: ['10.1.0.100', 'fd01::100'],
        protocol: 'udp',
        ports: [53, '1000-1999'],
        persistence: { timeoutSeconds: 60, engine: 'sip' },
        carriedBy: { directors: ['dir-a'] },
      }),
      (fleet) => {
        dir({ ipvs: { timeouts: { udpSeconds: 30 }, syncThreshold: { packets: 3, period: 50 } } })(
          fleet,
        )
        edit(fleet, 'virtualServices', 'sig', {
          protocol: 'sctp',
          vips: ['10.1.0.101'],
          ports: [9],
          pool: 'web',
          carriedBy: { directors: ['dir-a'] },
        })
      },
    )
    const script = renderScript({ name: 'dir-a', role: 'director' }, stateOf(change))
    for (const line of [
      `ipvsadm -A -f ${WEB_A} -s wrr -p 60 -M 255.255.255.255 --pe sip 2>/dev/null`,
      `ipvsadm -a -f ${WEB_A} -r 10.1.0.11:0 -g -w 100 -x 0 -y 0 2>/dev/null`,
      `ipvsadm -A -f ${WEB_A} -6 -s wrr -p 60 -M 128 --pe sip`,
      `ipvsadm -a -f ${WEB_A} -6 -r [fd01::11]:0 -g`,
      'ipvsadm -A --sctp-service 10.1.0.101:9 -s wlc 2>/dev/null',
      'ipvsadm --set 0 0 30\n',
      'set_sysctl net.ipv4.vs.sync_threshold "3\t50" "3\t50"\n',
      `nft add rule ip lvsfleet marking ip daddr 10.1.0.100 udp dport 53 meta mark set ${WEB_A}\n`,
      `nft add rule ip6 lvsfleet marking ip6 daddr fd01::100 udp dport 1000-1999 meta mark set ${WEB_A}\n`,
      `ipvsadm --start-daemon master --syncid 7 --mcast-interface "$(ip -o addr show to 10.1.0.10 | awk '{print $2; exit}')" --mcast-group 224.0.0.81 --mcast-port 8848 --mcast-ttl 1\n`,
      'ipvsadm --stop-daemon backup 2>/dev/null || true\n',
    ]) {
      assert.ok(script.includes(line), `${line} is not in\n${script}`)
    }
  })
})

/** Two names whose FNV-1a hashes agree in the lower 24 bits, found by trying. */
function collidingNames(): readonly [string, string] {
  const seen = new Map<number, string>()
  for (let n = 0; ; n++) {
    const name = `vs-${n}`
    let hash = 0x811c9dc5
    for (const char of name) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193)
    const low = hash & 0xff_ffff
    const other = seen.get(low)
    if (other !== undefined) return other < name ? [other, name] : [name, other]
    seen.set(low, name)
  }
}
