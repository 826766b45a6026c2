/** The prober of a host: with its routes, its marked sockets, its ping sockets and its scripts. */
import type { CheckWay } from '@lvs-fleet/contract'
import { openPingSocket } from '../kernel/ping/ping-socket.ts'
import type { PathSockets } from '../kernel/path/path-sockets.ts'
import { pathDialer, plainDialer } from './dialer.ts'
import type { Dialer, Prober } from './probe.ts'
import { createProber } from './prober.ts'

const ROOT_UID = 0

export function createHostProber(deps: {
  readonly scriptFolder: string | undefined
  /** Undefined where there are no marked sockets: then no check goes through a path. */
  readonly openPathSockets?: (() => Promise<PathSockets>) | undefined
}): Prober {
  const { scriptFolder, openPathSockets } = deps
  const dialerOf = (way: CheckWay): Dialer | string => {
    if (way.is === 'direct') return plainDialer
    if (openPathSockets === undefined) return 'this agent has no marked sockets'
    return pathDialer(way, openPathSockets)
  }
  return createProber({
    dialerOf,
    openPing: async (family) => openPingSocket(family),
    scripts: { folder: scriptFolder, ownerUid: ROOT_UID },
  })
}
