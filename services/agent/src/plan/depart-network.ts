/** What left the state: lingers for its time and as long as a service of ours needs it, then goes. */
import {
  addressKey,
  guePortKey,
  hostPrefixLength,
  sourceNatKey,
  type DeviceState,
  type HostPart,
  type Ip,
} from '@lvs-fleet/contract'
import type { Ledger } from '../ledger/ledger.ts'
import {
  findAddress,
  findGuePort,
  isSameDevice,
  objectKey,
  type NetworkContext,
  type NetworkDraft,
  type ObservedHost,
} from './network-plan.ts'

/** In the reverse order of making: source NAT, clamps, addresses, sysctls, GUE ports, devices. */
export function departNetwork(
  desired: HostPart,
  observed: ObservedHost,
  context: NetworkContext,
  draft: NetworkDraft,
): void {
  departSourceNats(desired, observed, context, draft)
  departClamps(desired, observed, context, draft)
  departAddresses(desired, observed, context, draft)
  departSysctls(desired, observed, context, draft)
  departGuePorts(desired, observed, context, draft)
  departDevices(desired, observed, context, draft)
}

/** Connections that have it keep it: netfilter asks the rules for the first packet of each only. */
function departSourceNats(
  desired: HostPart,
  observed: ObservedHost,
  context: NetworkContext,
  draft: NetworkDraft,
): void {
  const wanted = new Set(desired.sourceNats.map(sourceNatKey))
  const standing = new Set(observed.sourceNats.map(sourceNatKey))
  for (const [ownedKey, sourceNat] of context.ledger.sourceNats) {
    if (wanted.has(ownedKey)) continue
    const key = objectKey.sourceNat(sourceNat)
    if (!standing.has(ownedKey)) draft.gone.push(key)
    else if (mayGo(key, context, draft))
      draft.removals.push({ kind: 'source-nat.remove', sourceNat })
  }
}

function departClamps(
  desired: HostPart,
  observed: ObservedHost,
  context: NetworkContext,
  draft: NetworkDraft,
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
  draft: NetworkDraft,
): void {
  const wanted = new Set(desired.addresses.map(addressKey))
  const elsewhere = new Set(desired.addresses.map((address) => address.address))
  // One that only moves to another interface stays on the host: its services lose nothing.
  const needed = (address: Ip): boolean => context.usesAddress(address) && !elsewhere.has(address)
  for (const [ownedKey, address] of context.ledger.addresses) {
    if (wanted.has(ownedKey)) continue
    const key = objectKey.address(address)
    const standing = findAddress(address, observed.network)
    // Wanted on the very interface that it stands on: only the name of the place left.
    const isKept = desired.addresses.some(
      (other) =>
        other.address === address.address && findAddress(other, observed.network) === standing,
    )
    if (standing?.prefixLength !== hostPrefixLength(address.address) || isKept) draft.gone.push(key)
    else if (mayGo(key, context, draft) && !needed(address.address)) {
      draft.removals.push({ kind: 'address.remove', address })
    }
  }
}

function departSysctls(
  desired: HostPart,
  observed: ObservedHost,
  context: NetworkContext,
  draft: NetworkDraft,
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

function departGuePorts(
  desired: HostPart,
  observed: ObservedHost,
  context: NetworkContext,
  draft: NetworkDraft,
): void {
  const wanted = new Set(desired.guePorts.map(guePortKey))
  for (const [ownedKey, guePort] of context.ledger.guePorts) {
    if (wanted.has(ownedKey)) continue
    const key = objectKey.guePort(guePort)
    if (findGuePort(guePort, observed)?.exact !== true) draft.gone.push(key)
    else if (mayGo(key, context, draft)) draft.removals.push({ kind: 'gue-port.close', guePort })
  }
}

function departDevices(
  desired: HostPart,
  observed: ObservedHost,
  context: NetworkContext,
  draft: NetworkDraft,
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
  draft: NetworkDraft,
): boolean {
  for (const [key, address] of ledger.addresses) {
    if (!('device' in address.place) || address.place.device !== device.name) continue
    if (!removed.has(key) && !draft.gone.includes(objectKey.address(address))) return true
  }
  return false
}

/** Starts or looks up the linger of an object that left the state; true when its time is over. */
export function mayGo(
  key: string,
  { ledger, nowMs }: NetworkContext,
  draft: NetworkDraft,
): boolean {
  const deadline = ledger.lingers.get(key) ?? nowMs + ledger.lingerSeconds * 1_000
  draft.lingers.set(key, deadline)
  return deadline <= nowMs
}
