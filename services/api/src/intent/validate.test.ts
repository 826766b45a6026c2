import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SCHEDULERS } from '@lvs-fleet/contract'
import { edit, twoSites, type FleetText } from '../../../../test/fixtures/two-sites.ts'
import { fleetFromDocument, fleetSchema, fleetToDocument } from './fleet.ts'
import { validateFleet } from './validate.ts'

type Row = {
  name: string
  change: (fleet: FleetText) => void
  want: [pointer: string, code: string][]
}

const member = (fields: object) => ({ members: [{ realServer: 'rs-a1', ...fields }] })

const SYNC = { with: 'dir-a2', network: 'servers', syncId: 7, role: 'master' }

/** dir-a and a second director of its site, which carries nothing: master and backup but for `fields`. */
function pair(fields: object, peer: object): (fleet: FleetText) => void {
  return (fleet) => {
    edit(fleet, 'directors', 'dir-a', { sync: { ...SYNC, ...fields } })
    edit(fleet, 'directors', 'dir-a2', {
      site: 'a',
      addresses: ['10.1.0.20'],
      sync: { ...SYNC, role: 'backup', with: 'dir-a', ...peer },
    })
  }
}

const OVERRIDE = {
  realServer: 'rs-a1',
  kind: 'down',
  reason: 'disk',
  expiresAt: '2026-12-01T00:00:00Z',
}

/** A pool with a policy. */
const policy =
  (fields: object, pool: object = {}) =>
  (fleet: FleetText) =>
    edit(fleet, 'pools', 'web', { policy: fields, ...pool })

const ROWS: Row[] = [
  {
    name: 'a policy that names sites and real servers that do not exist',
    change: policy({ levels: ['a', 'x'], capacity: { y: 10 }, sorryServer: { realServer: 'z' } }),
    want: [
      ['/pools/web/policy/levels/1', 'unknown-name'],
      ['/pools/web/policy/capacity/y', 'unknown-name'],
      ['/pools/web/policy/sorryServer/realServer', 'unknown-name'],
    ],
  },
  {
    name: 'a sorry server that is a member',
    change: policy({ sorryServer: { realServer: 'rs-a1', port: 8080 } }),
    want: [['/pools/web/policy/sorryServer/realServer', 'duplicate']],
  },
  {
    name: 'a sorry server on a port that no member has',
    change: policy({ sorryServer: { realServer: 'rs-a1', port: 8080 } }, member({ port: 80 })),
    want: [],
  },
  {
    name: 'a level where nobody reads levels',
    change: (fleet) => edit(fleet, 'pools', 'web', member({ level: 1 })),
    want: [['/pools/web/members/0/level', 'level-without-policy']],
  },
  {
    name: 'an override of what does not exist',
    change: (fleet) => edit(fleet, 'overrides', 'o', { ...OVERRIDE, realServer: 'x', pool: 'y' }),
    want: [
      ['/overrides/o/realServer', 'unknown-name'],
      ['/overrides/o/pool', 'unknown-name'],
    ],
  },
  {
    name: 'an override by a weight that has none',
    change: (fleet) => edit(fleet, 'overrides', 'o', { ...OVERRIDE, kind: 'weight' }),
    want: [['/overrides/o/weight', 'override-weight']],
  },
  {
    name: 'an override that takes it down, with a weight',
    change: (fleet) => edit(fleet, 'overrides', 'o', { ...OVERRIDE, weight: 5 }),
    want: [['/overrides/o/weight', 'override-weight']],
  },
  {
    name: 'more overrides of one real server than a director can hold',
    change: (fleet) => {
      for (let n = 1; n <= 9; n++) edit(fleet, 'overrides', `o${n}`, OVERRIDE)
    },
    want: [['/overrides/o9/realServer', 'override-count']],
  },
  { name: 'a sound fleet has no problem', change: () => {}, want: [] },
  {
    name: 'a host in a site that does not exist',
    change: (fleet) => edit(fleet, 'directors', 'dir-a', { site: 'x' }),
    want: [['/directors/dir-a/site', 'unknown-name']],
  },
  {
    name: 'a member that does not exist',
    change: (fleet) => edit(fleet, 'pools', 'web', member({ realServer: 'nobody' })),
    want: [['/pools/web/members/0/realServer', 'unknown-name']],
  },
  {
    name: 'a pool that does not exist',
    change: (fleet) => edit(fleet, 'virtualServices', 'web-a', { pool: 'none' }),
    want: [['/virtualServices/web-a/pool', 'unknown-name']],
  },
  {
    name: 'carriers that do not exist',
    change: (fleet) =>
      edit(fleet, 'virtualServices', 'web-a', { carriedBy: { sites: ['x'], directors: ['y'] } }),
    want: [
      ['/virtualServices/web-a/carriedBy/sites/0', 'unknown-name'],
      ['/virtualServices/web-a/carriedBy/directors/0', 'unknown-name'],
    ],
  },
  {
    name: 'a gateway that does not exist',
    change: (fleet) => edit(fleet, 'realServers', 'rs-a1', { gateway: 'dir-x' }),
    want: [['/realServers/rs-a1/gateway', 'unknown-name']],
  },
  {
    name: 'a real server listed twice with one port',
    change: (fleet) =>
      edit(fleet, 'pools', 'web', { members: [{ realServer: 'rs-a1' }, { realServer: 'rs-a1' }] }),
    want: [['/pools/web/members/1/realServer', 'duplicate']],
  },
  {
    name: 'a lower threshold above the upper one',
    change: (fleet) =>
      edit(fleet, 'pools', 'web', member({ upperThreshold: 10, lowerThreshold: 11 })),
    want: [['/pools/web/members/0/lowerThreshold', 'threshold-order']],
  },
  {
    name: 'an address that two real servers claim',
    change: (fleet) => edit(fleet, 'realServers', 'rs-a2', { addresses: ['10.1.0.11'] }),
    want: [['/realServers/rs-a2/addresses/0', 'duplicate']],
  },
  {
    name: 'a VIP that is a host address',
    change: (fleet) => edit(fleet, 'virtualServices', 'web-a', { vips: ['10.1.0.12'] }),
    want: [['/virtualServices/web-a/vips/0', 'vip-is-host-address']],
  },
  {
    name: 'networks of one site that overlap',
    change: (fleet) =>
      edit(fleet, 'sites', 'a', {
        networks: [
          { name: 'one', cidrs: ['10.1.0.0/24'] },
          { name: 'two', cidrs: ['10.1.0.128/25'] },
        ],
      }),
    want: [['/sites/a/networks/1/cidrs/0', 'network-overlap']],
  },
  {
    name: 'a path to itself, to nowhere and twice to one site',
    change: (fleet) =>
      edit(fleet, 'sites', 'a', {
        paths: [{ to: 'a' }, { to: 'x' }, { to: 'b' }, { to: 'b' }],
      }),
    want: [
      ['/sites/a/paths/0/to', 'duplicate'],
      ['/sites/a/paths/1/to', 'unknown-name'],
      ['/sites/a/paths/3/to', 'duplicate'],
    ],
  },
  {
    name: 'one-packet scheduling on TCP, with persistence',
    change: (fleet) =>
      edit(fleet, 'virtualServices', 'web-a', {
        flags: ['one-packet'],
        persistence: { timeoutSeconds: 60 },
      }),
    want: [
      ['/virtualServices/web-a/flags', 'flag-conflict'],
      ['/virtualServices/web-a/flags', 'flag-conflict'],
    ],
  },
  {
    name: 'a hashing flag on another scheduler',
    change: (fleet) => edit(fleet, 'virtualServices', 'web-a', { flags: ['port'] }),
    want: [['/virtualServices/web-a/flags', 'flag-conflict']],
  },
  {
    name: 'a tunnel for a virtual service whose forwarding has none',
    change: (fleet) => edit(fleet, 'virtualServices', 'web-a', { forwarding: 'dr', tunnel: 'gre' }),
    want: [['/virtualServices/web-a/tunnel', 'tunnel-conflict']],
  },
  {
    name: 'a tunnel for a member whose forwarding has none',
    change: (fleet) => edit(fleet, 'pools', 'web', member({ forwarding: 'nat', tunnel: 'gue' })),
    want: [['/pools/web/members/0/tunnel', 'tunnel-conflict']],
  },
  {
    name: 'a tunnel where the method may come to be TUN',
    change: (fleet) => {
      edit(fleet, 'virtualServices', 'web-a', { forwarding: 'auto', tunnel: 'gre' })
      edit(fleet, 'virtualServices', 'web-b', { forwarding: 'dr', tunnel: 'auto' })
      edit(fleet, 'pools', 'web', member({ forwarding: 'tun', tunnel: 'gue' }))
    },
    want: [],
  },
  ...SCHEDULERS.map((scheduler): Row => {
    const reads = scheduler === 'sh' || scheduler === 'mh'
    const flag = ['/virtualServices/web-a/flags', 'flag-conflict'] as [string, string]
    return {
      name: `${scheduler} with fallback and port`,
      change: (fleet) =>
        edit(fleet, 'virtualServices', 'web-a', { scheduler, flags: ['fallback', 'port'] }),
      want: reads ? [] : [flag, flag],
    }
  }),
  {
    name: 'one-packet scheduling of UDP',
    change: (fleet) =>
      edit(fleet, 'virtualServices', 'web-a', { protocol: 'udp', flags: ['one-packet'] }),
    want: [],
  },
  {
    name: 'one-packet scheduling of SCTP',
    change: (fleet) =>
      edit(fleet, 'virtualServices', 'web-a', { protocol: 'sctp', flags: ['one-packet'] }),
    want: [['/virtualServices/web-a/flags', 'flag-conflict']],
  },
  {
    name: 'the SIP engine for UDP',
    change: (fleet) =>
      edit(fleet, 'virtualServices', 'web-a', {
        protocol: 'udp',
        persistence: { timeoutSeconds: 60, engine: 'sip' },
      }),
    want: [],
  },
  {
    name: 'the SIP engine for TCP, which the kernel would ignore',
    change: (fleet) =>
      edit(fleet, 'virtualServices', 'web-a', {
        persistence: { timeoutSeconds: 60, engine: 'sip' },
      }),
    want: [['/virtualServices/web-a/persistence/engine', 'engine-protocol']],
  },
  {
    name: 'neither ports nor a firewall mark',
    change: (fleet) => edit(fleet, 'virtualServices', 'web-a', { ports: [] }),
    want: [['/virtualServices/web-a/ports', 'ports']],
  },
  {
    name: 'a firewall mark instead of ports',
    change: (fleet) => edit(fleet, 'virtualServices', 'web-a', { ports: [], firewallMark: 7 }),
    want: [],
  },
  {
    name: 'a firewall mark next to ports',
    change: (fleet) => edit(fleet, 'virtualServices', 'web-a', { firewallMark: 7 }),
    want: [['/virtualServices/web-a/ports', 'ports']],
  },
  {
    name: 'a firewall mark out of those that we choose',
    change: (fleet) =>
      edit(fleet, 'virtualServices', 'web-a', { ports: [], firewallMark: 0x4c00_0000 }),
    want: [['/virtualServices/web-a/firewallMark', 'mark-reserved']],
  },
  {
    name: 'a firewall mark out of those of paths',
    change: (fleet) =>
      edit(fleet, 'virtualServices', 'web-a', { ports: [], firewallMark: 0x4dff_ffff }),
    want: [['/virtualServices/web-a/firewallMark', 'mark-reserved']],
  },
  {
    name: 'thresholds in order',
    change: (fleet) =>
      edit(fleet, 'pools', 'web', member({ lowerThreshold: 5, upperThreshold: 5 })),
    want: [],
  },
  {
    name: 'a lower threshold above the upper one',
    change: (fleet) =>
      edit(fleet, 'pools', 'web', member({ lowerThreshold: 6, upperThreshold: 5 })),
    want: [['/pools/web/members/0/lowerThreshold', 'threshold-order']],
  },
  {
    name: 'a lower threshold without an upper one',
    change: (fleet) => edit(fleet, 'pools', 'web', member({ lowerThreshold: 1 })),
    want: [['/pools/web/members/0/lowerThreshold', 'threshold-order']],
  },
  { name: 'a pair that syncs', change: pair({}, {}), want: [] },
  { name: 'a pair that does both', change: pair({ role: 'both' }, { role: 'both' }), want: [] },
  {
    name: 'sync with nobody, with itself',
    change: (fleet) => {
      edit(fleet, 'directors', 'dir-a', { sync: { ...SYNC, with: 'dir-x' } })
      edit(fleet, 'directors', 'dir-b', { sync: { ...SYNC, syncId: 2, with: 'dir-b' } })
    },
    want: [
      ['/directors/dir-a/sync/with', 'unknown-name'],
      ['/directors/dir-b/sync/with', 'sync-pair'],
    ],
  },
  {
    name: 'sync across sites',
    change: (fleet) => edit(fleet, 'directors', 'dir-a', { sync: { ...SYNC, with: 'dir-b' } }),
    want: [['/directors/dir-a/sync/with', 'sync-pair']],
  },
  {
    name: 'a peer that is paired with another director',
    change: (fleet) => {
      pair({}, { with: 'dir-a3' })(fleet)
      edit(fleet, 'directors', 'dir-a3', { site: 'a', addresses: ['10.1.0.22'] })
    },
    want: [['/directors/dir-a/sync/with', 'sync-pair']],
  },
  {
    name: 'a pair that differs in id, group, port and size',
    change: pair({}, { syncId: 8, group: '224.0.0.82', port: 8849, maxlen: 1450 }),
    want: ['dir-a', 'dir-a2'].flatMap((name) =>
      ['syncId', 'group', 'port', 'maxlen'].map((field): [string, string] => [
        `/directors/${name}/sync/${field}`,
        'sync-pair',
      ]),
    ),
  },
  {
    name: 'two that only send',
    change: pair({}, { role: 'master' }),
    want: [
      ['/directors/dir-a/sync/role', 'sync-pair'],
      ['/directors/dir-a2/sync/role', 'sync-pair'],
    ],
  },
  {
    name: 'one that does both beside one that only receives',
    change: pair({ role: 'both' }, {}),
    want: [
      ['/directors/dir-a/sync/role', 'sync-pair'],
      ['/directors/dir-a2/sync/role', 'sync-pair'],
    ],
  },
  {
    name: 'two pairs of one site with one id',
    change: (fleet) => {
      pair({}, {})(fleet)
      const other = (n: number, fields: object) =>
        edit(fleet, 'directors', `dir-a${n}`, {
          site: 'a',
          addresses: [`10.1.0.3${n}`],
          sync: { ...SYNC, ...fields },
        })
      other(3, { with: 'dir-a4' })
      other(4, { with: 'dir-a3', role: 'backup' })
    },
    want: [
      ['/directors/dir-a3/sync/syncId', 'sync-id'],
      ['/directors/dir-a4/sync/syncId', 'sync-id'],
    ],
  },
  {
    name: 'sync over a network that is not there, or not the director’s',
    change: (fleet) => {
      pair({ network: 'none' }, { network: 'other' })(fleet)
      edit(fleet, 'sites', 'a', {
        networks: [
          { name: 'servers', cidrs: ['10.1.0.0/24', 'fd01::/64'] },
          { name: 'other', cidrs: ['10.1.5.0/24'] },
        ],
      })
    },
    want: [
      ['/directors/dir-a/sync/network', 'sync-pair'],
      ['/directors/dir-a2/sync/network', 'sync-pair'],
      ['/directors/dir-a/sync/network', 'unknown-name'],
      ['/directors/dir-a2/sync/network', 'sync-pair'],
    ],
  },
]

describe('validateFleet', () => {
  for (const { name, change, want } of ROWS) {
    it(name, () => {
      const problems = validateFleet(twoSites(change))
      assert.deepEqual(
        problems.map(({ pointer, code }) => [pointer, code]),
        want,
      )
    })
  }
})

const SCHEMA_ROWS: { name: string; change: (fleet: FleetText) => void; path: string }[] = [
  {
    name: 'a factor below one',
    change: policy({ overprovisioningFactor: 0.9 }),
    path: 'pools.web.policy.overprovisioningFactor',
  },
  {
    name: 'a site that may get nothing',
    change: policy({ capacity: { a: 0 } }),
    path: 'pools.web.policy.capacity.a',
  },
  {
    name: 'a site twice in the order of levels',
    change: policy({ levels: ['a', 'a'] }),
    path: 'pools.web.policy.levels',
  },
  {
    name: 'an unknown field',
    change: (fleet) => edit(fleet, 'pools', 'web', { weigth: 1 }),
    path: 'pools.web',
  },
  {
    name: 'a VIP that is no address',
    change: (fleet) => edit(fleet, 'virtualServices', 'web-a', { vips: ['10.1.0.256'] }),
    path: 'virtualServices.web-a.vips.0',
  },
  {
    name: 'a network with host bits',
    change: (fleet) =>
      edit(fleet, 'sites', 'a', { networks: [{ name: 'n', cidrs: ['10.1.0.1/24'] }] }),
    path: 'sites.a.networks.0.cidrs.0',
  },
  {
    name: 'a port out of range',
    change: (fleet) => edit(fleet, 'virtualServices', 'web-a', { ports: [0] }),
    path: 'virtualServices.web-a.ports.0',
  },
  ...['8999-8000', '80-80', '0-9', '1-65536', '80', '080-90', '80 - 90', ''].map((range) => ({
    name: `a port range written as "${range}"`,
    change: (fleet: FleetText) => edit(fleet, 'virtualServices', 'web-a', { ports: [range] }),
    path: 'virtualServices.web-a.ports.0',
  })),
  ...[
    [80, 80],
    [80, '79-81'],
    ['1-10', '10-20'],
  ].map((ports) => ({
    name: `ports that overlap: ${ports.join(', ')}`,
    change: (fleet: FleetText) => edit(fleet, 'virtualServices', 'web-a', { ports }),
    path: 'virtualServices.web-a.ports',
  })),
  ...[0, -1, 2 ** 32, 1.5].map((firewallMark) => ({
    name: `firewall mark ${firewallMark}`,
    change: (fleet: FleetText) => edit(fleet, 'virtualServices', 'web-a', { firewallMark }),
    path: 'virtualServices.web-a.firewallMark',
  })),
  {
    name: 'a group that is not multicast',
    change: pair({ group: '10.1.0.1' }, {}),
    path: 'directors.dir-a.sync.group',
  },
  {
    name: 'sync on both a network and an interface',
    change: pair({ interface: 'eth1' }, {}),
    path: 'directors.dir-a.sync',
  },
  {
    name: 'a sync id beyond a byte',
    change: pair({ syncId: 256 }, {}),
    path: 'directors.dir-a.sync.syncId',
  },
  {
    name: 'an unknown setting of IPVS',
    change: (fleet) => edit(fleet, 'directors', 'dir-a', { ipvs: { secureTcp: true } }),
    path: 'directors.dir-a.ipvs',
  },
  {
    name: 'sync thresholds that the kernel refuses',
    change: (fleet) =>
      edit(fleet, 'directors', 'dir-a', { ipvs: { syncThreshold: { packets: 50, period: 3 } } }),
    path: 'directors.dir-a.ipvs.syncThreshold',
  },
  {
    name: 'a number of sync ports that is no power of two',
    change: (fleet) => edit(fleet, 'directors', 'dir-a', { ipvs: { syncPorts: 3 } }),
    path: 'directors.dir-a.ipvs.syncPorts',
  },
  {
    name: 'a negative weight',
    change: (fleet) => edit(fleet, 'pools', 'web', member({ weight: -1 })),
    path: 'pools.web.members.0.weight',
  },
  {
    name: 'a virtual service that nobody carries',
    change: (fleet) => edit(fleet, 'virtualServices', 'web-a', { carriedBy: {} }),
    path: 'virtualServices.web-a.carriedBy',
  },
  {
    name: 'a selector without labels',
    change: (fleet) => edit(fleet, 'pools', 'web', { selector: { matchLabels: {} } }),
    path: 'pools.web.selector.matchLabels',
  },
  {
    name: 'a name that is no DNS label',
    change: (fleet) => edit(fleet, 'sites', 'Bad_Name', {}),
    path: 'sites.Bad_Name',
  },
  {
    name: 'a tunnel type that IPVS does not have',
    change: (fleet) => edit(fleet, 'virtualServices', 'web-a', { tunnel: 'vxlan' }),
    path: 'virtualServices.web-a.tunnel',
  },
  {
    name: 'a tunnel type listed twice',
    change: (fleet) => edit(fleet, 'realServers', 'rs-a1', { decapsulates: ['gre', 'gre'] }),
    path: 'realServers.rs-a1.decapsulates',
  },
  {
    name: 'remote checksum offload for GRE, which only GUE has',
    change: (fleet) => edit(fleet, 'realServers', 'rs-a1', { gre: { checksum: 'remcsum' } }),
    path: 'realServers.rs-a1.gre.checksum',
  },
  {
    name: 'a port for GRE, which has none',
    change: (fleet) => edit(fleet, 'realServers', 'rs-a1', { gre: { port: 6080 } }),
    path: 'realServers.rs-a1.gre',
  },
  {
    name: 'GUE without a port',
    change: (fleet) => edit(fleet, 'realServers', 'rs-a1', { gue: { port: 0 } }),
    path: 'realServers.rs-a1.gue.port',
  },
  {
    name: 'a checksum of GUE that is no word of it',
    change: (fleet) => edit(fleet, 'realServers', 'rs-a1', { gue: { checksum: true } }),
    path: 'realServers.rs-a1.gue.checksum',
  },
]

describe('fleetSchema refuses, with the path of the field', () => {
  for (const { name, change, path } of SCHEMA_ROWS) {
    it(name, () => {
      const document = structuredClone(twoSitesText())
      change(document)
      const result = fleetSchema.safeParse(document)
      assert.equal(result.success, false)
      assert.ok(result.error.issues.map((issue) => issue.path.join('.')).includes(path))
    })
  }
})

describe('fleet document', () => {
  it('has no overrides: neither a document nor a revision that comes back brings or takes them', () => {
    const document = fleetToDocument(twoSites((text) => edit(text, 'overrides', 'o', OVERRIDE)))
    assert.deepEqual(document, fleetToDocument(twoSites()))
    assert.equal(fleetSchema.safeParse({ ...document, overrides: {} }).success, false)
  })

  it('parses to the same fleet when it is written out again', () => {
    const fleet = twoSites()
    const again = fleetFromDocument(fleetSchema.parse(fleetToDocument(fleet)))
    assert.deepEqual(again, fleet)
  })
})

function twoSitesText(): FleetText {
  let text: FleetText = {}
  twoSites((document) => {
    text = document
  })
  return text
}
