/**
 * What a plan of the network part is made of: what was observed, what is known, the draft that grows, and
 * how wanted objects are found among those that stand.
 */
import {
  addressKey,
  guePortKey,
  markKey,
  type AddressPlace,
  sourceNatKey,
  type AddressState,
  type ClampState,
  type DeviceState,
  type FailedOp,
  type GuePortState,
  type Ip,
  type MarkState,
  type Op,
  type SyncDaemonState,
  type SourceNatState,
} from '@lvs-fleet/contract'
import type {
  ObservedAddress,
  ObservedGuePort,
  ObservedLink,
  ObservedNetwork,
  ObservedSyncDaemon,
  ObservedTimeouts,
} from '../kernel/kernel.ts'
import { holdersOf } from '../kernel/holder.ts'
import type { Ledger, OwnedSysctl, OwnedTimeout } from '../ledger/ledger.ts'

export type ObservedHost = {
  readonly network: ObservedNetwork
  readonly guePorts: readonly ObservedGuePort[]
  readonly sysctls: ReadonlyMap<string, string | undefined>
  readonly clamps: readonly ClampState[]
  readonly marks: readonly MarkState[]
  /** Undefined where no timeout is wanted or ours. */
  readonly timeouts: ObservedTimeouts | undefined
  readonly syncDaemons: readonly ObservedSyncDaemon[]
  readonly sourceNats: readonly SourceNatState[]
}

export type NetworkContext = {
  readonly ledger: Ledger
  readonly nowMs: number
  /** True while a virtual service of ours, wanted or draining, is on this address. */
  usesAddress(address: Ip): boolean
  /** True while the state has something on this address. */
  wantsAddress(address: Ip): boolean
  /** True while a virtual service of ours that left the state still drains on this address. */
  drainsAddress(address: Ip): boolean
}

/** An object that is ours from before the op that makes it is sent. */
export type Claim =
  | { readonly kind: 'device'; readonly device: DeviceState }
  | { readonly kind: 'gue-port'; readonly guePort: GuePortState }
  | { readonly kind: 'address'; readonly address: AddressState }
  | { readonly kind: 'sysctl'; readonly sysctl: OwnedSysctl }
  | { readonly kind: 'clamp'; readonly clamp: ClampState }
  | { readonly kind: 'mark'; readonly mark: MarkState }
  | { readonly kind: 'timeout'; readonly timeout: OwnedTimeout }
  | { readonly kind: 'sync'; readonly daemon: SyncDaemonState }
  | { readonly kind: 'source-nat'; readonly sourceNat: SourceNatState }

export type NetworkPlan = {
  readonly adds: readonly Op[]
  /** Which service takes a packet: when the services of the state can answer, before those that they replace stop. */
  readonly marks: readonly Op[]
  readonly removals: readonly Op[]
  readonly claims: readonly Claim[]
  /** Object keys that are ours in the ledger and in the kernel no more, nor wanted. */
  readonly gone: readonly string[]
  /** Object key → when it may go. */
  readonly lingers: ReadonlyMap<string, number>
  readonly conflicts: readonly FailedOp[]
}

export type NetworkDraft = {
  adds: Op[]
  marks: Op[]
  removals: Op[]
  claims: Claim[]
  gone: string[]
  lingers: Map<string, number>
  conflicts: FailedOp[]
  /** Devices that are made anew, so that their addresses must be too. */
  readonly remade: Set<string>
}

export const objectKey = {
  device: (device: DeviceState): string => `device ${device.name}`,
  guePort: (guePort: GuePortState): string => `gue-port ${guePortKey(guePort)}`,
  address: (address: AddressState): string => `address ${addressKey(address)}`,
  sysctl: (key: string): string => `sysctl ${key}`,
  clamp: (address: Ip): string => `clamp ${address}`,
  mark: (mark: MarkState): string => `mark ${markKey(mark)}`,
  timeout: (name: string): string => `timeout ${name}`,
  sync: (role: string): string => `sync ${role}`,
  sourceNat: (pair: SourceNatState): string => `source-nat ${sourceNatKey(pair)}`,
}

/** The address on the interface it is meant for, with whatever prefix length. */
export function findAddress(
  address: AddressState,
  network: ObservedNetwork,
): ObservedAddress | undefined {
  const link = placeOf(address.place, network)
  if (link === undefined) return undefined
  return network.addresses.find(
    (candidate) => candidate.address === address.address && candidate.linkIndex === link,
  )
}

/**
 * Whether an address that stands is one that the ledger has by another place: it was put beside an address of the host, and the
 * state names the same interface by another one now. An address that nobody holds any more names no interface, so the
 * ledger's word is enough; a device that is gone took its addresses along, so what stands is somebody else's.
 */
export function isOursByOtherPlace(
  standing: ObservedAddress,
  ledger: Ledger,
  network: ObservedNetwork,
): boolean {
  return [...ledger.addresses.values()].some(({ address, place }) => {
    if (address !== standing.address) return false
    const link = placeOf(place, network)
    return link === standing.linkIndex || (link === undefined && 'holding' in place)
  })
}

function placeOf(place: AddressPlace, network: ObservedNetwork): number | undefined {
  if ('device' in place) return network.links.find((link) => link.name === place.device)?.index
  return holdersOf(network.addresses).get(place.holding)
}

/** The port with exactly this address, of whatever encapsulation. */
export function findGuePort(
  { address, port }: GuePortState,
  observed: ObservedHost,
): ObservedGuePort | undefined {
  return observed.guePorts.find(
    (candidate) => candidate.address === address && candidate.port === port,
  )
}

/** Whether a daemon of the kernel is the one that is meant; nothing of it can be edited. */
export function isSameDaemon(
  daemon: SyncDaemonState,
  standing: ObservedSyncDaemon,
  network: ObservedNetwork,
): boolean {
  const index = placeOf(daemon.place, network)
  const device = network.links.find((link) => link.index === index)?.name
  return (
    device === standing.device &&
    daemon.syncId === standing.syncId &&
    daemon.group === standing.group &&
    daemon.port === standing.port &&
    daemon.ttl === standing.ttl &&
    (daemon.maxlen === null || daemon.maxlen === standing.maxlen)
  )
}

/** Everything but what may be edited in place. */
export function isSameDevice(device: DeviceState, link: ObservedLink): boolean {
  if (device.kind !== link.kind) return false
  return device.kind === 'dummy' || (device.local === link.local && device.remote === link.remote)
}
