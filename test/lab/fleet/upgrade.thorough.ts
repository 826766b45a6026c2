/**
 * The agent as its package runs it, on a real kernel: a user of its own with CAP_NET_ADMIN alone does all that root did, and an upgrade
 * under traffic loses no packet and writes nothing. The sandbox of the unit is systemd's affair, and its score is held in test/package.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { VERSION, type Capabilities } from '@lvs-fleet/contract'
import { AGENT_BUNDLE, buildAgent } from '../../../scripts/build.ts'
import { eventually } from './eventually.ts'
import { FleetLab, REAL_SERVERS, roleOf } from './fleet-lab.ts'
import { writesDuring } from './netlink-witness.ts'

const WEB_A = 'http://10.1.0.100/'
const NEXT = '0.2.0'
/** Below dist, so that it finds the native packages where the other one does. */
const NEXT_FOLDER = fileURLToPath(new URL('../../../dist/next', import.meta.url))
/** A number stands for the package's user: the guest has none of that name. */
const USER = 64_999
/** CAP_NET_ADMIN is bit 12 (include/uapi/linux/capability.h). */
const NET_ADMIN = (1n << 12n).toString(16).padStart(16, '0')
const ARP_IGNORE = 'net.ipv4.conf.all.arp_ignore'
const SHOW = [
  `ip -o addr | sed 's/^[0-9]*: //' | grep -v fe80`,
  `ip -o tunnel show | grep lvsf; ip -o -6 tunnel show | grep lvsf`,
  // The elements of a set have no order.
  `nft list ruleset | tr ',{}' '\\n' | sed 's/^[ \\t]*//; s/ *$//'`,
  `sysctl ${ARP_IGNORE}`,
].join('\n')
/** What another program, or a careless hand, may do to a host. */
const UNDO = [
  'ipvsadm -C',
  `for link in $(ip -o link | grep -o 'lvsf[a-z0-9-]*' | sort -u); do ip link del $link; done`,
  'ip addr del 10.2.0.100/32 dev eth0 2>/dev/null',
  'nft flush ruleset',
  `sysctl -qw ${ARP_IGNORE}=0`,
].join('\n')
const AS_SERVICE = [
  'setpriv',
  `--reuid=${USER}`,
  `--regid=${USER}`,
  '--clear-groups',
  '--inh-caps=-all,+net_admin',
  '--ambient-caps=-all,+net_admin',
  '--bounding-set=-all,+net_admin',
  '--no-new-privs',
]

describe('the agent as its package runs it', () => {
  let fleet: FleetLab
  let nextBundle = ''

  before(async () => {
    nextBundle = await buildAgent(NEXT_FOLDER, NEXT)
    fleet = await FleetLab.start()
    await fleet.bringUp()
  })
  after(async () => fleet.stop())

  /** Stops what runs there and starts `bundle` as the service's user, on the same state. */
  async function restart(name: string, bundle: string): Promise<void> {
    await fleet.stopAgent(name)
    const state = fleet.stateDir(name)
    // As postinst and StateDirectory= do it; the folders above must let the user pass.
    await fleet.lab.sh(
      name,
      `chown -R ${USER}:${USER} ${state} && chmod a+x ${state}/.. ${state}/../..`,
    )
    await fleet.startAgent(name, { enrol: false, as: AS_SERVICE, bundle })
  }

  /** All that an agent makes on a host, as ipvsadm, ip, nft and sysctl show it; interfaces have new numbers each time. */
  async function witnessOf(name: string): Promise<readonly string[]> {
    const text = await fleet.lab.sh(name, SHOW)
    return [...(await fleet.lab.ipvsadm(name)), ...text.split('\n').toSorted()]
  }

  const versionOf = async (name: string): Promise<string | undefined> => {
    const path = `/v1/hosts/${roleOf(name)}/${name}`
    const host = (await fleet.controller.call('GET', path)) as {
      report: { agentVersion: string } | null
    }
    return host.report?.agentVersion
  }

  it('CAP_NET_ADMIN alone makes anew what a host had: IPVS, VIPs, tunnels, sysctls, clamps', async () => {
    for (const name of ['dir-b', 'rs-b1']) {
      const before = await witnessOf(name)
      // Stopped first: the one before runs as root, and would mend it at once.
      await fleet.stopAgent(name)
      await fleet.lab.sh(name, UNDO)
      assert.notDeepEqual(await witnessOf(name), before)
      await restart(name, AGENT_BUNDLE)
      await fleet.converged([name], 120_000)
      await eventually(async () => assert.deepEqual(await witnessOf(name), before))
      const caps = await fleet.lab.sh(
        name,
        `for pid in $(pgrep -u ${USER}); do grep -h -E '^Cap(Prm|Eff|Bnd)' /proc/$pid/status; done`,
      )
      const distinct = new Set(
        caps
          .trim()
          .split('\n')
          .map((line) => line.split(/\s+/)[1]),
      )
      assert.deepEqual([...distinct], [NET_ADMIN])
    }
    const answers = await fleet.lab.get('cl-b', { url: 'http://10.2.0.100/', n: 16 })
    const servers = new Set(Object.keys(answers).map((answer) => answer.split(':')[0] ?? answer))
    assert.deepEqual([...servers].toSorted(), REAL_SERVERS)
  })

  it('finds out what the kernel can in a namespace that somebody else made for it, loopback up', async () => {
    const probe = [...AS_SERVICE, process.execPath, AGENT_BUNDLE, 'probe-kernel'].join(' ')
    const text = await fleet.lab.sh(
      'dir-a',
      `unshare --net sh -c 'ip link set lo up && exec ${probe}'`,
    )
    const found = JSON.parse(text) as Capabilities
    assert.equal(found.ipvs, 'yes')
    assert.equal(found.schedulers['wrr'], 'yes')
    assert.equal(found.decapsulation['ipip'], 'yes')
    assert.equal(found.nftables, 'yes')
  })

  it('an upgrade, and the step back, under traffic: no connection fails, nothing is written', async () => {
    await restart('dir-a', AGENT_BUNDLE)
    await fleet.converged(['dir-a'], 120_000)
    const table = await fleet.lab.ipvsadm('dir-a')
    const holds = await Promise.all(
      Array.from({ length: 8 }, () => fleet.lab.hold('cl-a', { url: WEB_A })),
    )
    const load = await fleet.lab.load('cl-a', { url: WEB_A, ratePerSecond: 20, timeoutMs: 5_000 })
    for (const [bundle, version] of [
      [nextBundle, NEXT],
      [AGENT_BUNDLE, VERSION],
    ] as const) {
      const writes = await writesDuring(fleet.lab, 'dir-a', async () => {
        await restart('dir-a', bundle)
        await eventually(async () => assert.equal(await versionOf('dir-a'), version))
        await fleet.converged(['dir-a'], 120_000)
      })
      assert.deepEqual(writes, [], version)
      assert.deepEqual(await fleet.lab.ipvsadm('dir-a'), table)
    }
    const { answers, errors } = await load.stop()
    assert.deepEqual(errors, {})
    assert.ok(Object.keys(answers).length >= REAL_SERVERS.length)
    for (const hold of holds) {
      assert.equal((await hold.status()).alive, true)
      await hold.close()
    }
  })
})
