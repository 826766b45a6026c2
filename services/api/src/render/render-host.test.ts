/** Hosts without an agent: what each form says, and that it says the same as the script. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import * as z from 'zod'
import {
  EMPTY_HOST_STATE,
  ip,
  type DestinationState,
  type DeviceState,
  type HostState,
  type Level,
} from '@lvs-fleet/contract'
import { destination, hostState, service } from '../../../../test/fakes/states.ts'
import { renderHost, type RenderFormat } from './render-host.ts'

const host = { role: 'real-server', name: 'rs-b1' } as const
const four = { local: ip('10.2.0.11'), remote: ip('10.1.0.10') }
const six = { local: ip('fd02::11'), remote: ip('fd01::10') }
const gre = (checksum: boolean): DeviceState => ({ name: 'lvsf-3', kind: 'gre', ...four, checksum })

const state: HostState = {
  ...EMPTY_HOST_STATE,
  devices: [
    { name: 'lvsfleet0', kind: 'dummy' },
    { name: 'lvsf-1', kind: 'ipip', ...four },
    { name: 'lvsf-2', kind: 'ip6tnl', ...six },
    gre(false),
    { name: 'lvsf-4', kind: 'ip6gre', ...six, checksum: false },
  ],
  guePorts: [
    { address: four.local, port: 6080 },
    { address: six.local, port: 6080 },
  ],
  addresses: [
    { address: ip('10.1.0.100'), place: { device: 'lvsfleet0' } },
    { address: ip('fd01::100'), place: { device: 'lvsfleet0' } },
    { address: four.local, place: { device: 'lvsf-1' } },
    { address: four.local, place: { device: 'lvsf-3' } },
  ],
  sysctls: [{ key: 'net.ipv4.conf.all.rp_filter', value: '2', accept: ['0', '2'] }],
}

function rendered(format: RenderFormat, given: HostState = state): string {
  const result = renderHost(host, given, format)
  assert.ok(result.ok, 'it can be rendered')
  return result.text
}

describe('render as a shell script', () => {
  it('makes each tunnel device narrow, and opens GUE on the own address', () => {
    const lines = rendered('shell').split('\n')
    for (const line of [
      '  add_device lvsf-1 type ipip local 10.2.0.11 remote 10.1.0.10 ttl 64',
      '  add_device lvsf-2 type ip6tnl mode any local fd02::11 remote fd01::10 ttl 64 encaplimit none',
      '  add_device lvsf-3 type gre local 10.2.0.11 remote 10.1.0.10 ttl 64 noicsum',
      '  add_device lvsf-4 type ip6gre local fd02::11 remote fd01::10 ttl 64 encaplimit none noicsum',
      '  open_gue 6080 local 10.2.0.11',
      '  open_gue 6080 -6 local fd02::11',
      '  ip fou del port 6080 -6 local fd02::11 2>/dev/null || true',
    ]) {
      assert.ok(lines.includes(line), line)
    }
    assert.match(rendered('shell', { ...state, devices: [gre(true)] }), / ttl 64 icsum\n/)
    const probing = { key: 'net.ipv4.conf.{10.1.0.10}.accept_local', value: '1', accept: ['1'] }
    assert.equal(
      rendered('shell', { ...state, sysctls: [...state.sysctls, probing] }),
      lines.join('\n'),
    )
    const sourceNats = [{ vip: ip('10.1.0.100'), server: four.local }]
    assert.match(
      rendered('shell', { ...state, sourceNats }),
      /source ct original ip daddr 10\.1\.0\.100 ip daddr 10\.2\.0\.11 masquerade\n/,
    )
  })

  const TUNNELS = [
    [{ type: 'ipip' }, '-i'],
    [{ type: 'gre', checksum: false }, '-i --tun-type gre --tun-nocsum'],
    [{ type: 'gre', checksum: true }, '-i --tun-type gre --tun-csum'],
    [
      { type: 'gue', port: 6080, checksum: 'none' },
      '-i --tun-type gue --tun-port 6080 --tun-nocsum',
    ],
    [{ type: 'gue', port: 6080, checksum: 'csum' }, '-i --tun-type gue --tun-port 6080 --tun-csum'],
    [
      { type: 'gue', port: 6080, checksum: 'remcsum' },
      '-i --tun-type gue --tun-port 6080 --tun-remcsum',
    ],
  ] as const
  for (const [tunnel, words] of TUNNELS) {
    it(`tells ipvsadm: ${words}`, () => {
      const through = destination('10.2.0.11', { forwarding: { method: 'tun', tunnel }, weight: 7 })
      const script = rendered('shell', hostState([service('10.1.0.100', [through])]))
      assert.ok(script.includes(`-r 10.2.0.11:80 ${words} -w 7 -x 0`), script)
    })
  }
})

describe('render of levels', () => {
  const at = (address: string, level: Level, weight = 100) =>
    destination(address, { weight, placement: { level, site: 'a', fullWeight: 100 } })
  const weightsOf = (...ends: readonly DestinationState[]) =>
    [
      ...rendered('shell', hostState([service('10.1.0.100', ends)])).matchAll(
        /ipvsadm -a .* -w (\d+)/g,
      ),
    ].map(([, weight]) => Number(weight))

  it('the first level that has a weight has it all: nobody moves shares there', () => {
    assert.deepEqual(
      weightsOf(at('10.2.0.1', 1), at('10.2.0.2', 2), at('10.2.0.3', 'sorry')),
      [100, 0, 0],
    )
    assert.deepEqual(
      weightsOf(at('10.2.0.1', 0, 0), at('10.2.0.2', 1), at('10.2.0.3', 1)),
      [0, 100, 100],
    )
    assert.deepEqual(weightsOf(at('10.2.0.1', 0, 0), at('10.2.0.2', 'sorry')), [0, 100])
  })
})

const cloudConfigSchema = z.strictObject({
  packages: z.array(z.string()),
  write_files: z.array(
    z.strictObject({ path: z.string(), permissions: z.string(), content: z.string() }),
  ),
  runcmd: z.array(z.array(z.string())),
})

describe('render for cloud-init', () => {
  it('is YAML that writes the same script and runs it at each boot', () => {
    const text = rendered('cloud-init')
    assert.ok(text.startsWith('#cloud-config\n'))
    const config = cloudConfigSchema.parse(parse(text))
    const [script, unit] = config.write_files
    assert.equal(script?.content, rendered('shell'))
    assert.equal(script.permissions, '0755')
    assert.equal(unit?.path, '/etc/systemd/system/lvsfleet-rs-b1.service')
    assert.match(unit.content, /^ExecStart=\/bin\/sh \/usr\/local\/sbin\/lvsfleet-rs-b1 setup$/m)
    assert.deepEqual(config.packages, ['iproute2', 'kmod'])
    assert.equal(config.runcmd.at(-1)?.join(' '), 'systemctl enable --now lvsfleet-rs-b1.service')
  })

  it('installs what the host needs beyond that', () => {
    const clamps = [{ address: ip('10.1.0.100'), mss: 1400 }]
    const config = cloudConfigSchema.parse(parse(rendered('cloud-init', { ...state, clamps })))
    assert.deepEqual(config.packages, ['iproute2', 'kmod', 'nftables'])
  })
})

describe('render for systemd-networkd', () => {
  it('has files for each device and its addresses', () => {
    const files = filesOf(rendered('networkd'))
    assert.deepEqual(
      [...files.keys()].map((path) => path.replace('/etc/systemd/network/50-', '')),
      [
        'lvsfleet0.netdev',
        'lvsfleet0.network',
        'lvsf-1.netdev',
        'lvsf-1.network',
        'lvsf-2.netdev',
        'lvsf-2.network',
        'lvsf-3.netdev',
        'lvsf-3.network',
        'lvsf-4.netdev',
        'lvsf-4.network',
        '/etc/sysctl.d/90-lvsfleet-rs-b1.conf',
        '/usr/local/sbin/lvsfleet-rs-b1',
        '/etc/systemd/system/lvsfleet-rs-b1.service',
      ],
    )
    assert.equal(
      files.get('/etc/systemd/network/50-lvsf-2.netdev'),
      '[NetDev]\nName=lvsf-2\nKind=ip6tnl\n\n[Tunnel]\nLocal=fd02::11\nRemote=fd01::10\nTTL=64\nIndependent=yes\nMode=any\nEncapsulationLimit=none',
    )
    assert.match(
      files.get('/etc/systemd/network/50-lvsfleet0.network') ?? '',
      /Address=fd01::100\/128\nPreferredLifetime=0\nDuplicateAddressDetection=none$/,
    )
    assert.equal(
      files.get('/etc/sysctl.d/90-lvsfleet-rs-b1.conf'),
      '# 0 would do as well\n-net.ipv4.conf.all.rp_filter = 2',
    )
  })

  it('leaves to our own script in a unit what networkd has no words for', () => {
    const files = filesOf(
      rendered('networkd', {
        ...state,
        devices: [{ name: 'lvsfleet0', kind: 'dummy' }, gre(true)],
        clamps: [{ address: ip('10.1.0.100'), mss: 1400 }],
      }),
    )
    assert.ok(!files.has('/etc/systemd/network/50-lvsf-3.netdev'))
    const script = files.get('/usr/local/sbin/lvsfleet-rs-b1') ?? ''
    assert.match(script, /add_device lvsf-3 type gre .* icsum/)
    assert.match(script, /ip addr replace 10\.2\.0\.11\/32 dev lvsf-3/)
    assert.match(script, /maxseg size set 1400/)
    assert.match(script, /open_gue 6080 -6 local fd02::11/)
    assert.doesNotMatch(script, /lvsfleet0/)
    assert.ok(files.has('/etc/systemd/system/lvsfleet-rs-b1.service'))
  })

  it('refuses a host whose addresses go to an interface without a name, and says what to do', () => {
    const place = { holding: ip('10.1.0.10') }
    const addresses = [{ address: ip('10.1.0.100'), place }]
    const result = renderHost(host, { ...EMPTY_HOST_STATE, addresses }, 'networkd')
    assert.ok(!result.ok)
    assert.match(result.why, /10\.1\.0\.100 .*Take format shell or cloud-init/)
  })
})

/** Path → content of the files that a script writes. */
function filesOf(script: string): ReadonlyMap<string, string> {
  const found = script.matchAll(
    /^cat > (\S+) <<'END_OF_LVSFLEET_FILE'\n([\s\S]*?)\nEND_OF_LVSFLEET_FILE$/gm,
  )
  return new Map([...found].map(([, path = '', content = '']) => [path, content]))
}
