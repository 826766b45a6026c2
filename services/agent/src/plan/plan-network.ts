/**
 * Plans the part of a host that is not virtual services: devices, GUE ports, sysctls, addresses, MSS clamps,
 * source NAT, marks, and the settings of IPVS (timeouts, sync daemons).
 * Pure. What left the state lingers for its time, and as long as a virtual service of ours uses its
 * address; what stands and is not ours is left alone unless adopted; a sysctl gets its old value back.
 */
import type { HostPart } from '@lvs-fleet/contract'
import { departIpvs, stopDaemons, wantIpvs } from './ipvs-settings.ts'
import { departNetwork } from './depart-network.ts'
import type { NetworkContext, NetworkDraft, NetworkPlan, ObservedHost } from './network-plan.ts'
import { wantNetwork } from './want-network.ts'

export function planNetwork(
  desired: HostPart,
  observed: ObservedHost,
  context: NetworkContext,
): NetworkPlan {
  const draft: NetworkDraft = {
    adds: [],
    marks: [],
    removals: [],
    claims: [],
    gone: [],
    lingers: new Map(),
    conflicts: [],
    remade: new Set(),
  }
  // First of all: mixed families cannot come while a daemon runs.
  stopDaemons(desired, observed, context, draft)
  wantNetwork(desired, observed, context, draft)
  wantIpvs(desired, observed, context, draft)
  departIpvs(desired, observed, context, draft)
  departNetwork(desired, observed, context, draft)
  return draft
}
