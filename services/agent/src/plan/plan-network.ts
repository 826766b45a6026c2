/**
 * Plans the part of a host that is not virtual services: devices, sysctls, addresses, MSS clamps.
 * Pure. What left the state lingers for its time, and as long as a virtual service of ours uses its
 * address; what stands and is not ours is left alone unless adopted; a sysctl gets its old value back.
 */
import {
  addressKey,
  describeOp,
  familyOf,
  hostPrefixLength,
  type AddressState,
  type ClampState,
  type DeviceState,
  type FailedOp,
  type HostPart,
  type Ip,
  type Op,
} from '@lvs-fleet/contract'
import type { ObservedAddress, ObservedLink, ObservedNetwork } from '../kernel/kernel.ts'
import type { Ledger, OwnedSysctl } from '../ledger/ledger.ts'
import { conflictMessage } from './plan-service.ts'

export type ObservedHost = {
  readonly network: ObservedNetwork
  readonly sysctls: ReadonlyMap<string, string | undefined>
  readonly clamps: readonly ClampState[]
}

export type NetworkContext = {
  readonly ledger: Ledger
  readonly nowMs: number
  /** True while a virtual service of ours, wanted or draining, is on this address. */
  usesAddress(address: Ip): boolean
  /** True while a virtual service of ours that left the state still drains on this address. */
  drainsAddress(address: Ip): boolean
}

/** An object that is ours from before the op that makes it is sent. */
export type Claim =
  | { readonly kind: 'device'; readonly device: DeviceState }
  | { readonly kind: 'address'; readonly address: AddressState }
  | { readonly kind: 'sysctl'; readonly sysctl: OwnedSysctl }
  | { readonly kind: 'clamp'; readonly clamp: ClampState }

export type NetworkPlan = {
  readonly adds: readonly Op[]
  readonly removals: readonly Op[]
  readonly claims: readonly Claim[]
  /** Object keys that are ours in the ledger and in the kernel no more, nor wanted. */
  readonly gone: readonly string[]
  /** Object key → when it may go. */
  readonly lingers: ReadonlyMap<string, number>
  readonly conflicts: readonly FailedOp[]
}

type Draft = {
  adds: Op[]
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
  address: (address: AddressState): string => `address ${addressKey(address)}`,
  sysctl: (key: string): string => `sysctl ${key}`,
  clamp: (address: Ip): string => `clamp ${address}`,
}

export function planNetwork(
  desired: HostPart,
  observed: ObservedHost,
  context: NetworkContext,
): NetworkPlan {
  const draft: Draft = {
    adds: [],
    removals: [],
    claims: [],
    gone: [],
    lingers: new Map(),
    conflicts: [],
    remade: new Set(),
  }
  for (const device of desired.devices) wantDevice(device, desired, observed, context, draft)
  for (const sysctl of desired.sysctls) wantSysctl(sysctl, observed, context, draft)
  for (const address of desired.addresses) wantAddress(address, desired, observed, context, draft)
  for (const clamp of desired.clamps) wantClamp(clamp, desired, observed, context, draft)
  // Reverse order of making.
  departClamps(desired, observed, context, draft)
  departAddresses(desired, observed, context, draft)
  departSysctls(desired, observed, context, draft)
  departDevices(desired, observed, context, draft)
  return draft
}

function wantDevice(
  device: DeviceState,
  desired: HostPart,
  observed: ObservedHost,
  { ledger }: NetworkContext,
  draft: Draft,
): void {
  const op: Op = { kind: 'device.create', device }
  const link = observed.network.links.find((candidate) => candidate.name === device.name)
  const owned = ledger.devices.get(device.name)
  if (link === undefined) {
    draft.adds.push(op)
    draft.claims.push({ kind: 'device', device })
    return
  }
  if (owned === undefined && !desired.adopt) {
    draft.conflicts.push(conflict(op, `device ${device.name}`))
  } else if (!isSameDevice(device, link)) {
    draft.conflicts.push({
      op: describeOp(op),
      code: 'conflict',
      message: `device ${device.name} stands as ${link.kind || 'hardware'} with other ends, which cannot be edited: remove it by hand`,
    })
  } else {
    if (owned === undefined) draft.claims.push({ kind: 'device', device })
    // Somebody set it down, so it carries nothing: made anew it is up from its first moment.
    else if (!link.up) {
      draft.adds.push({ kind: 'device.remove', device }, op)
      draft.remade.add(device.name)
    }
  }
}

function wantSysctl(
  sysctl: HostPart['sysctls'][number],
  observed: ObservedHost,
  { ledger }: NetworkContext,
  draft: Draft,
): void {
  const current = observed.sysctls.get(sysctl.key)
  const owned = ledger.sysctls.get(sysctl.key)
  if (current === sysctl.value || (current !== undefined && sysctl.accept.includes(current))) return
  // A key of a device that this plan makes is not there yet; its old value is the kernel's default, gone with the device.
  draft.adds.push({
    kind: 'sysctl.set',
    key: sysctl.key,
    from: current ?? 'absent',
    to: sysctl.value,
  })
  const previous = owned?.previous ?? current
  if (previous !== undefined) {
    draft.claims.push({
      kind: 'sysctl',
      sysctl: { key: sysctl.key, previous, value: sysctl.value },
    })
  }
}

function wantAddress(
  address: AddressState,
  desired: HostPart,
  observed: ObservedHost,
  { ledger }: NetworkContext,
  draft: Draft,
): void {
  const op: Op = { kind: 'address.add', address }
  const owned = ledger.addresses.has(addressKey(address))
  const isRemade = 'device' in address.place && draft.remade.has(address.place.device)
  const standing = isRemade ? undefined : findAddress(address, observed.network)
  if (standing === undefined) {
    draft.adds.push(op)
    draft.claims.push({ kind: 'address', address })
    return
  }
  if (!owned && !desired.adopt) {
    draft.conflicts.push(conflict(op, `address ${addressKey(address)}`))
    return
  }
  // With another prefix length it is the interface's own: good enough, and never ours to remove.
  if (standing.prefixLength !== hostPrefixLength(address.address)) return
  if (!owned) draft.claims.push({ kind: 'address', address })
  // Preferred, it would be picked as a source and break tunnels; the port can only make it anew.
  else if (familyOf(address.address) === 'ipv6' && !standing.deprecated) {
    draft.adds.push({ kind: 'address.remove', address }, op)
  }
}

function wantClamp(
  clamp: ClampState,
  desired: HostPart,
  observed: ObservedHost,
  { ledger }: NetworkContext,
  draft: Draft,
): void {
  const standing = observed.clamps.find((candidate) => candidate.address === clamp.address)
  const owned = ledger.clamps.get(clamp.address)
  const op: Op = { kind: 'clamp.set', clamp, from: standing?.mss ?? null }
  if (standing !== undefined && owned === undefined && !desired.adopt) {
    draft.conflicts.push(conflict(op, `mss clamp ${clamp.address}`))
    return
  }
  if (standing?.mss !== clamp.mss) draft.adds.push(op)
  if (owned?.mss !== clamp.mss) draft.claims.push({ kind: 'clamp', clamp })
}

function departClamps(
  desired: HostPart,
  observed: ObservedHost,
  context: NetworkContext,
  draft: Draft,
): void {
  const wanted = new Set(desired.clamps.map((clamp) => clamp.address))
  for (const clamp of context.ledger.clamps.values()) {
    if (wanted.has(clamp.address)) continue
    const key = objectKey.clamp(clamp.address)
    const standing = observed.clamps.find((candidate) => candidate.address === clamp.address)
    if (standing === undefined) draft.gone.push(key)
    else if (mayGo(key, context, draft) && !context.drainsAddress(clamp.address)) {
      draft.removals.push({ kind: 'clamp.remove', clamp })
    }
  }
}

function departAddresses(
  desired: HostPart,
  observed: ObservedHost,
  context: NetworkContext,
  draft: Draft,
): void {
  const wanted = new Set(desired.addresses.map(addressKey))
  const elsewhere = new Set(desired.addresses.map((address) => address.address))
  // One that only moves to another interface stays on the host: its services lose nothing.
  const needed = (address: Ip): boolean => context.usesAddress(address) && !elsewhere.has(address)
  for (const [ownedKey, address] of context.ledger.addresses) {
    if (wanted.has(ownedKey)) continue
    const key = objectKey.address(address)
    const standing = findAddress(address, observed.network)
    if (standing?.prefixLength !== hostPrefixLength(address.address)) draft.gone.push(key)
    else if (mayGo(key, context, draft) && !needed(address.address)) {
      draft.removals.push({ kind: 'address.remove', address })
    }
  }
}

function departSysctls(
  desired: HostPart,
  observed: ObservedHost,
  context: NetworkContext,
  draft: Draft,
): void {
  const wanted = new Set(desired.sysctls.map((sysctl) => sysctl.key))
  for (const { key, previous, value } of context.ledger.sysctls.values()) {
    if (wanted.has(key)) continue
    // Somebody set it since, or its device is gone: not ours to restore.
    if (observed.sysctls.get(key) !== value || previous === value)
      draft.gone.push(objectKey.sysctl(key))
    else if (mayGo(objectKey.sysctl(key), context, draft)) {
      draft.removals.push({ kind: 'sysctl.set', key, from: value, to: previous })
    }
  }
}

function departDevices(
  desired: HostPart,
  observed: ObservedHost,
  context: NetworkContext,
  draft: Draft,
): void {
  const wanted = new Set(desired.devices.map((device) => device.name))
  const removedAddresses = new Set(
    draft.removals.flatMap((op) => (op.kind === 'address.remove' ? [addressKey(op.address)] : [])),
  )
  for (const device of context.ledger.devices.values()) {
    if (wanted.has(device.name)) continue
    const key = objectKey.device(device)
    const link = observed.network.links.find((candidate) => candidate.name === device.name)
    if (link === undefined || !isSameDevice(device, link)) draft.gone.push(key)
    else if (
      mayGo(key, context, draft) &&
      !carriesOurAddress(device, context.ledger, removedAddresses, draft)
    ) {
      draft.removals.push({ kind: 'device.remove', device })
    }
  }
}

/** True while an address of ours sits on the device and is not removed before it in this plan. */
function carriesOurAddress(
  device: DeviceState,
  ledger: Ledger,
  removed: ReadonlySet<string>,
  draft: Draft,
): boolean {
  for (const [key, address] of ledger.addresses) {
    if (!('device' in address.place) || address.place.device !== device.name) continue
    if (!removed.has(key) && !draft.gone.includes(objectKey.address(address))) return true
  }
  return false
}

/** Starts or looks up the linger of an object that left the state; true when its time is over. */
function mayGo(key: string, { ledger, nowMs }: NetworkContext, draft: Draft): boolean {
  const deadline = ledger.lingers.get(key) ?? nowMs + ledger.lingerSeconds * 1_000
  draft.lingers.set(key, deadline)
  return deadline <= nowMs
}

/** The address on the interface it is meant for, with whatever prefix length. */
function findAddress(address: AddressState, network: ObservedNetwork): ObservedAddress | undefined {
  const link = placeOf(address, network)
  if (link === undefined) return undefined
  return network.addresses.find(
    (candidate) => candidate.address === address.address && candidate.linkIndex === link,
  )
}

function placeOf({ place }: AddressState, network: ObservedNetwork): number | undefined {
  if ('device' in place) return network.links.find((link) => link.name === place.device)?.index
  // A tunnel device of ours may carry the same address: the interface's own has a network with it.
  const holders = network.addresses.filter((candidate) => candidate.address === place.holding)
  const full = hostPrefixLength(place.holding)
  return (holders.find((holder) => holder.prefixLength !== full) ?? holders[0])?.linkIndex
}

function isSameDevice(device: DeviceState, link: ObservedLink): boolean {
  if (device.kind !== link.kind) return false
  return device.kind === 'dummy' || (device.local === link.local && device.remote === link.remote)
}

function conflict(op: Op, object: string): FailedOp {
  return { op: describeOp(op), code: 'conflict', message: conflictMessage(object) }
}
