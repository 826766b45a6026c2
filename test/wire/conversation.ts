/**
 * One conversation with the kernel, in a fixed order, so that its bytes can be recorded on a real
 * kernel (record.ts) and played back anywhere (wire.test.ts). `prepare` is what the kernel holds before.
 */
import { ip, type Op, type ServiceRef } from '@lvs-fleet/contract'
import { IpvsKernel } from '../../services/agent/src/kernel/ipvs/ipvs-kernel.ts'
import type { NetlinkSocket } from '../../services/agent/src/kernel/netlink/socket.ts'
import { RtnlKernel, type NetworkOp } from '../../services/agent/src/kernel/rtnl/rtnl-kernel.ts'
import type { IpvsOp } from '../../services/agent/src/kernel/ipvs/encode.ts'

/** Shell lines for an empty network namespace. */
export const prepare = [
  'ip link add wire0 type dummy',
  'ip link set wire0 address 02:00:00:00:00:01 addrgenmode none up',
  'ip addr add 10.9.0.1/24 dev wire0',
  'ip addr add fd09::1/64 dev wire0 nodad',
  'ipvsadm -A -f 7 -s rr',
  'ipvsadm -A --sctp-service 10.9.0.100:9 -s rr',
  'ipvsadm -A -t 10.9.0.100:80 -s sh -b sh-fallback,sh-port -p 600 -M 255.255.0.0',
  'ipvsadm -a -t 10.9.0.100:80 -r 10.9.1.1 -m -w 3 -x 100 -y 10',
  'ipvsadm -a -t 10.9.0.100:80 -r 10.9.1.2 -i -w 0',
  'ipvsadm -a -t 10.9.0.100:80 -r 10.9.1.3 -i --tun-type gue --tun-port 6080 -w 1',
  'ipvsadm -a -t 10.9.0.100:80 -r fd09::11 -i -w 1',
  'ipvsadm -A -u [fd09::100]:53 -s wrr -o',
  'ipvsadm -A -t 10.9.0.101:5060 -s rr -b flag-3 -p 60',
]

const web: ServiceRef = { protocol: 'tcp', address: ip('10.9.0.100'), port: 80 }
const dns: ServiceRef = { protocol: 'udp', address: ip('fd09::100'), port: 53 }
const missing: ServiceRef = { protocol: 'tcp', address: ip('10.9.0.102'), port: 80 }
const nat = {
  forwarding: { method: 'nat' },
  weight: 1,
  upperThreshold: 0,
  lowerThreshold: 0,
} as const

export const ipvsOps: readonly IpvsOp[] = [
  {
    kind: 'service.create',
    service: missing,
    to: {
      scheduler: 'wlc',
      flags: [],
      persistence: { timeoutSeconds: 90, prefixLength: 24, engine: null },
    },
  },
  { kind: 'service.create', service: web, to: { scheduler: 'rr', flags: [], persistence: null } },
  {
    kind: 'destination.create',
    service: dns,
    destination: { address: ip('fd09::11'), port: 53 },
    to: nat,
  },
  {
    kind: 'destination.update',
    service: dns,
    destination: { address: ip('fd09::11'), port: 53 },
    from: nat,
    to: { ...nat, weight: 65_535, upperThreshold: 5, lowerThreshold: 6 },
  },
  { kind: 'destination.remove', service: dns, destination: { address: ip('fd09::12'), port: 53 } },
  { kind: 'service.remove', service: missing },
]

export const networkOps: readonly NetworkOp[] = [
  { kind: 'address.add', address: { address: ip('10.9.0.100'), place: { device: 'wire0' } } },
  { kind: 'address.add', address: { address: ip('fd09::100'), place: { holding: ip('fd09::1') } } },
  { kind: 'address.add', address: { address: ip('fd09::100'), place: { device: 'wire0' } } },
]
export const tunnelOps: readonly NetworkOp[] = [
  {
    kind: 'device.create',
    device: { name: 'wire1', kind: 'ip6tnl', local: ip('fd09::1'), remote: ip('fd09::2') },
  },
  {
    kind: 'device.create',
    device: { name: 'wire2', kind: 'ipip', local: ip('10.9.0.1'), remote: ip('10.9.0.2') },
  },
]

export async function converse(sockets: {
  readonly generic: NetlinkSocket
  readonly route: NetlinkSocket
}) {
  const ipvs = new IpvsKernel(sockets.generic)
  const network = new RtnlKernel(sockets.route)
  return {
    services: await ipvs.listServices(),
    destinations: await ipvs.listDestinations([web, dns, missing]),
    ipvsFailures: (await ipvs.apply(ipvsOps)).failures,
    tunnelFailures: await applyNetwork(network, tunnelOps),
    networkFailures: await applyNetwork(network, networkOps),
    network: await network.observeNetwork(),
  }
}

async function applyNetwork(network: RtnlKernel, ops: readonly (NetworkOp & Op)[]) {
  return (await network.apply(ops)).failures
}
