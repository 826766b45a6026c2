/**
 * SCTP through the director by every forwarding method and pair of families: an association, a megabyte down, a
 * megabyte up. The table is made with ipvsadm, for this is about the kernel's data path, which needs no help for
 * SCTP; each end has one address, since an endpoint tells its peer all that it has.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startLab, type Lab } from '../lab.ts'

const CLIENT = 'cl-a'
const DIRECTOR = { v4: '10.1.0.10', v6: 'fd01::10' }
const NEAR = { name: 'rs-a1', v4: '10.1.0.11', v6: 'fd01::11' }
const FAR = { name: 'rs-b1', v4: '10.2.0.11', v6: 'fd02::11' }
const VIP = { v4: '10.1.0.100', v6: 'fd01::100' }
const SOURCE = { v4: '10.1.9.2', v6: 'fd01:0:0:9::2' }
const CLIENTS = { v4: '10.1.9.0/24', v6: 'fd01:0:0:9::/64' }
const MEGABYTE = 1_000_000
const PATIENT_MS = 20_000

type Row = {
  readonly name: string
  readonly family: 'v4' | 'v6'
  /** What `ipvsadm -a` is told of the destination. */
  readonly destination: string
  readonly server: string
}

const gue = (checksum: string) => `-i --tun-type gue --tun-port 6080 --tun-${checksum}`
const near = (name: string, family: Row['family'], words: string): Row => {
  const end = family === 'v4' ? `${NEAR.v4}:80` : `[${NEAR.v6}]:80`
  return { name, family, destination: `${end} ${words}`, server: NEAR.name }
}
const far = (name: string, family: Row['family'], outer: 'v4' | 'v6', words = '-i'): Row => {
  const end = outer === 'v4' ? `${FAR.v4}:80` : `[${FAR.v6}]:80`
  return { name, family, destination: `${end} ${words}`, server: FAR.name }
}

const ROWS: readonly Row[] = [
  near('NAT of IPv4', 'v4', '-m'),
  near('NAT of IPv6', 'v6', '-m'),
  near('DR of IPv4', 'v4', '-g'),
  near('DR of IPv6', 'v6', '-g'),
  far('IPIP, IPv4 in IPv4', 'v4', 'v4'),
  far('IPIP, IPv6 in IPv6', 'v6', 'v6'),
  far('IPIP, IPv6 in IPv4', 'v6', 'v4'),
  far('IPIP, IPv4 in IPv6', 'v4', 'v6'),
  far('GRE', 'v4', 'v4', '-i --tun-type gre'),
  far('GUE', 'v4', 'v4', gue('nocsum')),
  far('GUE with a checksum', 'v4', 'v4', gue('csum')),
  far('GUE with remote checksum offload', 'v4', 'v4', gue('remcsum')),
]

describe('SCTP', { timeout: 400_000 }, () => {
  let lab: Lab

  before(async () => {
    lab = await startLab()
    await prepareDirector(lab)
    for (const server of [NEAR, FAR]) await prepareServer(lab, server)
    // NAT asks a real server by its own address; its answers must come back through the director.
    for (const family of ['v4', 'v6'] as const) {
      const ip = family === 'v4' ? 'ip' : 'ip -6'
      await lab.sh(
        NEAR.name,
        `${ip} rule add from ${NEAR[family]} to ${CLIENTS[family]} lookup 100; ${ip} route add default via ${DIRECTOR[family]} table 100`,
      )
      await lab.serveSctp(NEAR.name, { port: 80, bind: NEAR[family] })
    }
  })
  after(async () => lab.stop())

  for (const { name, family, destination, server } of ROWS) {
    it(`${name}: an association, a megabyte down and up`, async () => {
      const vip = family === 'v4' ? VIP.v4 : `[${VIP.v6}]`
      const table = `-A --sctp-service ${vip}:80 -s rr\n-a --sctp-service ${vip}:80 -r ${destination}\n`
      await lab.sh('dir-a', 'ipvsadm -C; ipvsadm -R', { stdin: table })
      const before = await associations()
      const ask = (path: string, upload = 0) =>
        lab.get(CLIENT, {
          url: `http://${vip}${path}`,
          upload,
          protocol: 'sctp',
          src: SOURCE[family],
          timeoutMs: PATIENT_MS,
        })
      const answer = `${server}:80 from=${SOURCE[family]}`
      assert.deepEqual(await ask('/'), { [answer]: 1 })
      assert.deepEqual(await ask(`/big=${MEGABYTE}`), { [`${answer} body=${MEGABYTE}`]: 1 })
      assert.deepEqual(await ask('/', MEGABYTE), { [`${answer} got=${MEGABYTE}`]: 1 })
      const made = [...(await associations())].filter((ends) => !before.has(ends))
      assert.equal(made.length, 3, 'they did not pass through IPVS')
    })
  }

  /** The ends of those that the director knows, also of tables before: they stay for a minute. */
  async function associations(): Promise<Set<string>> {
    const table = await lab.sh('dir-a', 'ipvsadm -Lcn')
    return new Set(table.match(/(?<=^SCTP \S+ +\S+ +)\S.*/gm))
  }
})

async function prepareDirector(lab: Lab): Promise<void> {
  await lab.sh(
    'dir-a',
    [
      `ip addr add ${VIP.v4}/32 dev eth0`,
      `ip addr add ${VIP.v6}/128 dev eth0 nodad preferred_lft 0`,
      'sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1',
      'sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0',
    ].join(' && '),
  )
}

/** The VIPs, and a device for every tunnel of the rows. */
async function prepareServer(lab: Lab, { name, v4, v6 }: typeof NEAR): Promise<void> {
  const conf = 'net.ipv4.conf'
  await lab.sh(
    name,
    `sysctl -qw ${conf}.all.arp_ignore=1 ${conf}.all.arp_announce=2 ${conf}.default.rp_filter=0 ${conf}.all.rp_filter=0 ${conf}.eth0.rp_filter=0`,
  )
  const ends4 = `local ${v4} remote ${DIRECTOR.v4}`
  const devices = [
    `ipip ${ends4}`,
    `sit ${ends4}`,
    `gre ${ends4}`,
    `ip6tnl mode any local ${v6} remote ${DIRECTOR.v6}`,
  ]
  const batch = [
    `addr add ${VIP.v4}/32 dev lo`,
    `addr add ${VIP.v6}/128 dev lo`,
    ...devices.flatMap((device, i) => [`link add sctp${i} type ${device}`, `link set sctp${i} up`]),
    'fou add port 6080 gue',
  ]
  await lab.sh(name, ['ip', '-batch', '-'], { stdin: `${batch.join('\n')}\n` })
  for (const bind of [VIP.v4, VIP.v6]) await lab.serveSctp(name, { port: 80, bind })
}
