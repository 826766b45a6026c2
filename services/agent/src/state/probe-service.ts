/**
 * The kernel's service of one path: one destination, nothing to choose. What is ledger, plan, drift and removal of any
 * virtual service is this one's too; only operators never see it (`isProbe`).
 */
import type { MarkService, PathState } from '@lvs-fleet/contract'

export function probeService(path: PathState): MarkService {
  const { mark, realServer, family, address, port, forwarding } = path
  return {
    name: `path to ${realServer}`,
    protocol: 'fwmark',
    firewallMark: mark,
    family,
    scheduler: 'rr',
    flags: [],
    persistence: null,
    drainSeconds: 0,
    destinations: [
      { realServer, address, port, forwarding, weight: 1, upperThreshold: 0, lowerThreshold: 0 },
    ],
  }
}
