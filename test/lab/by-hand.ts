// The fleet's work done by hand, with ip and ipvsadm: DR to the real servers of the director's own
// site, IPIP tunnels to the others, IPv4 and IPv6. It proves the lab without any product code, and
// shows what the system under test must come to.
import type { Lab } from './lab.ts'
import { findHost, type Host } from './topology.ts'

export const LOCAL_REAL_SERVERS = ['rs-a1', 'rs-a2'] as const
export const REMOTE_REAL_SERVERS = ['rs-b1', 'rs-b2'] as const
export const REAL_SERVERS = [...LOCAL_REAL_SERVERS, ...REMOTE_REAL_SERVERS] as const
export const DIRECTOR = 'dir-a'
export const VIP = { v4: '10.1.0.100', v6: 'fd01::100' } as const
export const VIP_URLS = { v4: `http://${VIP.v4}/`, v6: `http://[${VIP.v6}]/` } as const

/** Director, real servers and web servers for the VIPs of site a on port 80. */
export async function setUpByHand(lab: Lab): Promise<void> {
  const director = findHost(lab.topology, DIRECTOR)
  for (const name of REAL_SERVERS) {
    const tunnel = REMOTE_REAL_SERVERS.some((remote) => remote === name)
    const realServer = findHost(lab.topology, name)
    await lab.sh(name, realServerScript(tunnel ? { realServer, director } : undefined))
    await lab.serve(name, { ports: [80] })
  }
  await lab.sh(DIRECTOR, directorScript())
  await lab.sh(DIRECTOR, ['ipvsadm', '-R'], { stdin: `${ipvsTable(lab).join('\n')}\n` })
}

/** What `ipvsadm -Sn` prints when the director is set up. */
export function ipvsTable(lab: Lab): string[] {
  const lines = (service: string, address: (host: Host) => string) => [
    `-A -t ${service} -s rr`,
    ...REAL_SERVERS.map((name, index) => {
      const method = index < LOCAL_REAL_SERVERS.length ? '-g -w 1' : '-i -w 1 --tun-type ipip'
      return `-a -t ${service} -r ${address(findHost(lab.topology, name))} ${method}`
    }),
  ]
  return [
    ...lines(`${VIP.v4}:80`, (host) => `${host.v4}:80`),
    ...lines(`[${VIP.v6}]:80`, (host) => `[${host.v6}]:80`),
  ]
}

/** The v6 VIP is deprecated at once, so that it is never the source of a tunnel's outer packet. */
function directorScript(): string {
  return script(
    `ip addr add ${VIP.v4}/32 dev eth0`,
    `ip addr add ${VIP.v6}/128 dev eth0 nodad preferred_lft 0`,
  )
}

/** Tunnel devices take packets of this one director only; loose rp_filter wants an address there. */
function realServerScript(tunnel?: { realServer: Host; director: Host }): string {
  const common = [
    'sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2',
    'ip link add vips type dummy',
    'ip link set vips up',
    `ip addr add ${VIP.v4}/32 dev vips`,
    `ip addr add ${VIP.v6}/128 dev vips nodad preferred_lft 0`,
  ]
  if (!tunnel) return script(...common)
  const { realServer, director } = tunnel
  return script(
    ...common,
    `ip link add tun4 type ipip local ${realServer.v4} remote ${director.v4} ttl 64`,
    `ip addr add ${realServer.v4}/32 dev tun4`,
    'ip link set tun4 up',
    `ip -6 tunnel add tun6 mode any local ${realServer.v6} remote ${director.v6} encaplimit none`,
    'ip link set tun6 up',
  )
}

function script(...lines: readonly string[]): string {
  return ['set -e', ...lines].join('\n')
}
