/**
 * Tries what this kernel can, in the network namespace that it runs in: that must be a scratch one, where
 * nothing is kept and nothing is harmed (capabilities/scratch-namespace.ts makes it). Gives one verdict per
 * feature; what may not be tried is unknown. Modules that a trial loads stay loaded, as after use, and their
 * fallback devices (gre0, tunl0) stay down.
 */
import { release } from 'node:os'
import { unknownCapabilities, type Capabilities } from '@lvs-fleet/contract'
import { KernelError } from '../kernel.ts'
import { NETLINK_GENERIC, NETLINK_ROUTE } from '../netlink/constants.ts'
import { openRawSocket } from '../netlink/raw-socket.ts'
import { NetlinkSocket } from '../netlink/socket.ts'
import { runNft } from '../nft/run-nft.ts'
import { RtnlKernel } from '../rtnl/rtnl-kernel.ts'
import { isScratch } from './is-scratch.ts'
import { tryDecapsulation } from './try-decapsulation.ts'
import { tryIpvs } from './try-ipvs.ts'
import { verdictOf } from './verdict.ts'

/** Of one request; a module that has to be loaded first may take a second on a slow machine. */
const TIMEOUT_MS = 5_000

export async function probeKernel(): Promise<Capabilities> {
  const generic = openSocket(NETLINK_GENERIC)
  const route = openSocket(NETLINK_ROUTE)
  try {
    await assertScratch(route)
    return {
      ...unknownCapabilities(release()),
      ...(await tryIpvs(generic, route)),
      decapsulation: await tryDecapsulation(generic, route),
      nftables: await tryNftables(),
    }
  } finally {
    generic.close()
    route.close()
  }
}

/** Nothing is tried where somebody lives. */
async function assertScratch(route: NetlinkSocket): Promise<void> {
  if (isScratch(await new RtnlKernel(route).observeNetwork())) return
  throw new KernelError('probe', 'EBUSY', 'this network namespace is in use: nothing was tried')
}

function openSocket(protocol: number): NetlinkSocket {
  return new NetlinkSocket({
    protocol,
    timeoutMs: TIMEOUT_MS,
    open: (handlers, reads) => openRawSocket({ protocol, reads, receiveBufferBytes: 0 }, handlers),
  })
}

/** A map from address to MSS, as the clamps are: `nft` may be there without kernel support for it. */
async function tryNftables(): Promise<Capabilities['nftables']> {
  const script = [
    'add table ip lvsprobe',
    'add map ip lvsprobe mss { typeof ip saddr : tcp option maxseg size; }',
    'add chain ip lvsprobe clamp { type filter hook output priority mangle; policy accept; }',
    'add rule ip lvsprobe clamp tcp flags syn tcp option maxseg size set ip saddr map @mss',
  ]
  const result = await runNft(['-f', '-'], `${script.join('\n')}\n`)
  return verdictOf(result.ok ? undefined : result, ['ENOTSUP', 'ENOENT', 'EINVAL'])
}
