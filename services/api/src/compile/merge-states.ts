/** One machine, two roles: the union of its director state and its real-server state. The first wins where both speak. */
import { addressKey, compareIps, type AddressState, type HostState } from '@lvs-fleet/contract'

export function mergeStates(director: HostState, server: HostState): HostState {
  // A VIP that the director already holds on its interface needs no second place.
  const held = new Set(director.addresses.map((state) => state.address))
  const addresses = server.addresses.filter((state) => !held.has(state.address))
  const keys = new Set(director.sysctls.map((sysctl) => sysctl.key))
  return {
    adopt: director.adopt || server.adopt,
    lingerSeconds: Math.max(director.lingerSeconds, server.lingerSeconds),
    devices: [...director.devices, ...server.devices],
    guePorts: [...director.guePorts, ...server.guePorts],
    addresses: [...director.addresses, ...addresses].toSorted(byAddress),
    sysctls: [...director.sysctls, ...server.sysctls.filter((sysctl) => !keys.has(sysctl.key))],
    clamps: [...director.clamps, ...server.clamps],
    marks: director.marks,
    timeouts: director.timeouts,
    syncDaemons: director.syncDaemons,
    sourceNats: director.sourceNats,
    checks: director.checks,
    paths: director.paths,
    services: director.services,
  }
}

function byAddress(a: AddressState, b: AddressState): number {
  return compareIps(a.address, b.address) || (addressKey(a) < addressKey(b) ? -1 : 1)
}
