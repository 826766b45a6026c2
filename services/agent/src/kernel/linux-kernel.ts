/**
 * The kernel port on a real Linux: composes IPVS, links and addresses, GUE ports, sysctls and nftables. The sockets
 * belong to the network namespace in which the process was started.
 */
import { readFileSync, statSync } from 'node:fs'
import { endianness } from 'node:os'
import { assertNever } from '@lvs-fleet/contract'
import type { Applied } from './applied.ts'
import { applyOps, type Run } from './apply-ops.ts'
import { GueKernel } from './fou/gue-kernel.ts'
import { holdersOf } from './holder.ts'
import { IpvsKernel } from './ipvs/ipvs-kernel.ts'
import type { SettingsOp } from './ipvs/settings.ts'
import { KernelError, type Kernel } from './kernel.ts'
import { NETLINK_GENERIC, NETLINK_ROUTE } from './netlink/constants.ts'
import { NetlinkSocket } from './netlink/socket.ts'
import { SourceNats } from './nft/source-nats.ts'
import { Tables } from './nft/tables.ts'
import { NetworkMonitor } from './rtnl/network-monitor.ts'
import { RtnlKernel } from './rtnl/rtnl-kernel.ts'
import { Sysctls } from './sysctl.ts'

export type KernelOptions = {
  /** How long the kernel may take for one request, one batch or the next part of a dump. */
  readonly timeoutMs?: number
}

/** Opens the sockets; throws KernelError EPERM without CAP_NET_ADMIN. Needs no ip_vs until it is used. */
export async function openKernel(options: KernelOptions = {}): Promise<Kernel> {
  if (endianness() !== 'LE') {
    throw new KernelError('open', 'ENOTSUP', 'big-endian machines are not supported')
  }
  const scope = readScope()
  const generic = new NetlinkSocket({ ...options, protocol: NETLINK_GENERIC })
  const route = new NetlinkSocket({ ...options, protocol: NETLINK_ROUTE })
  const monitor = new NetworkMonitor({ ownPort: () => route.port })
  const ipvs = new IpvsKernel(generic)
  const network = new RtnlKernel(route)
  const gue = new GueKernel(generic)
  const sysctls = new Sysctls()
  const tables = new Tables()
  const sourceNats = new SourceNats()
  let writes = 0

  function applyRun(run: Run): Promise<Applied> {
    switch (run.kind) {
      case 'ipvs':
        return ipvs.apply(run.ops)
      case 'network':
        return network.apply(run.ops)
      case 'gue-port':
        return gue.apply(run.ops)
      case 'sysctl':
        return sysctls.apply(run.ops)
      case 'table':
        return tables.apply(run.ops)
      case 'settings':
        return applySettings(run.ops)
      case 'source-nat':
        return sourceNats.apply(run.ops)
      default:
        return assertNever(run)
    }
  }

  async function applySettings(ops: readonly SettingsOp[]): Promise<Applied> {
    const starts = ops.some((op) => op.kind === 'sync.start')
    const { links, addresses } = starts
      ? await network.observeNetwork()
      : { links: [], addresses: [] }
    const holders = holdersOf(addresses)
    const devices = ops.map((op) => {
      if (op.kind !== 'sync.start') return undefined
      const { place } = op.daemon
      if ('device' in place) return place.device
      return links.find(({ index }) => index === holders.get(place.holding))?.name
    })
    return ipvs.applySettings(ops, devices)
  }

  return {
    listServices: () => ipvs.listServices(),
    listDestinations: (services) => ipvs.listDestinations(services),
    observeNetwork: () => network.observeNetwork(),
    readSysctls: (keys) => sysctls.read(keys),
    observeGuePorts: () => gue.observe(),
    observeClamps: async () => (await tables.observe()).clamps,
    observeMarks: async () => (await tables.observe()).marks,
    readTimeouts: () => ipvs.readTimeouts(),
    listSyncDaemons: () => ipvs.listSyncDaemons(),
    observeSourceNats: () => sourceNats.observe(),
    apply: (ops) =>
      applyOps(ops, async (run) => {
        const { failures, writeCount } = await applyRun(run)
        writes += writeCount
        return failures
      }),
    onNetworkChange: (listener) => monitor.subscribe(listener),
    scope: () => Promise.resolve(scope),
    writeCount: () => writes,
    close: () => {
      monitor.close()
      generic.close()
      route.close()
    },
  }
}

/** Neither changes while the process lives: sockets keep the namespace that they were opened in. */
function readScope(): string {
  try {
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const { ino } = statSync('/proc/self/ns/net')
    return `${bootId}/${ino}`
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new KernelError('read boot id and network namespace', 'EIO', why)
  }
}
