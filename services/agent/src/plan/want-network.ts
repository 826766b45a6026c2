/** What is wanted: made where it is missing, taken over only when told so, a conflict otherwise. */
import {
  addressKey,
  describeOp,
  familyOf,
  guePortKey,
  hostPrefixLength,
  sourceNatKey,
  type AddressState,
  type ClampState,
  type DeviceState,
  type FailedOp,
  type GuePortState,
  type HostPart,
  type Op,
  type SourceNatState,
} from '@lvs-fleet/contract'
import {
  findAddress,
  findGuePort,
  isOursByOtherPlace,
  isSameDevice,
  type NetworkContext,
  type NetworkDraft,
  type ObservedHost,
} from './network-plan.ts'
import { conflictMessage } from './plan-service.ts'

/** In the order of making: devices, GUE ports, sysctls, addresses, clamps, source NAT. */
export function wantNetwork(
  desired: HostPart,
  observed: ObservedHost,
  context: NetworkContext,
  draft: NetworkDraft,
): void {
  for (const device of desired.devices) wantDevice(device, desired, observed, context, draft)
  for (const guePort of desired.guePorts) wantGuePort(guePort, desired, observed, context, draft)
  for (const sysctl of desired.sysctls) wantSysctl(sysctl, observed, context, draft)
  for (const address of desired.addresses) wantAddress(address, desired, observed, context, draft)
  for (const clamp of desired.clamps) wantClamp(clamp, desired, observed, context, draft)
  for (const pair of desired.sourceNats) wantSourceNat(pair, desired, observed, context, draft)
}

function wantDevice(
  device: DeviceState,
  desired: HostPart,
  observed: ObservedHost,
  { ledger }: NetworkContext,
  draft: NetworkDraft,
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
    const isEdited = 'checksum' in device && device.checksum !== link.checksum
    if (owned === undefined || isEdited) draft.claims.push({ kind: 'device', device })
    // Somebody set it down, so it carries nothing: made anew it is up from its first moment.
    if (owned !== undefined && !link.up) {
      draft.adds.push({ kind: 'device.remove', device }, op)
      draft.remade.add(device.name)
    } else if (isEdited) {
      const from = { ...device, checksum: link.checksum }
      draft.adds.push({ kind: 'device.update', device, from })
    }
  }
}

function wantGuePort(
  guePort: GuePortState,
  desired: HostPart,
  observed: ObservedHost,
  { ledger }: NetworkContext,
  draft: NetworkDraft,
): void {
  const op: Op = { kind: 'gue-port.open', guePort }
  const key = guePortKey(guePort)
  const owned = ledger.guePorts.has(key)
  const standing = findGuePort(guePort, observed)
  const wide = observed.guePorts.find(
    ({ address, family, port }) =>
      address === null && family === familyOf(guePort.address) && port === guePort.port,
  )
  if (standing === undefined && wide === undefined) {
    draft.adds.push(op)
    draft.claims.push({ kind: 'gue-port', guePort })
  } else if (!owned && !desired.adopt) {
    draft.conflicts.push(conflict(op, `udp port ${key}`))
  } else if (!(standing ?? wide)?.exact) {
    draft.conflicts.push({
      op: describeOp(op),
      code: 'conflict',
      message: `udp port ${key} takes off another encapsulation, which cannot be edited: close it by hand (ip fou del)`,
    })
  }
  // One that is open for every address is good enough, and never ours to close.
  else if (!owned && standing !== undefined) draft.claims.push({ kind: 'gue-port', guePort })
}

function wantSysctl(
  sysctl: HostPart['sysctls'][number],
  observed: ObservedHost,
  { ledger }: NetworkContext,
  draft: NetworkDraft,
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
  draft: NetworkDraft,
): void {
  const op: Op = { kind: 'address.add', address }
  const isClaimed = ledger.addresses.has(addressKey(address))
  const isRemade = 'device' in address.place && draft.remade.has(address.place.device)
  const standing = isRemade ? undefined : findAddress(address, observed.network)
  if (standing === undefined) {
    draft.adds.push(op)
    draft.claims.push({ kind: 'address', address })
    return
  }
  const isOurs = isClaimed || isOursByOtherPlace(standing, ledger, observed.network)
  if (!isOurs && !desired.adopt) {
    draft.conflicts.push(conflict(op, `address ${addressKey(address)}`))
    return
  }
  // With another prefix length it is the interface's own: good enough, and never ours to remove.
  if (standing.prefixLength !== hostPrefixLength(address.address)) return
  if (!isClaimed) draft.claims.push({ kind: 'address', address })
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
  draft: NetworkDraft,
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

function wantSourceNat(
  sourceNat: SourceNatState,
  desired: HostPart,
  observed: ObservedHost,
  { ledger }: NetworkContext,
  draft: NetworkDraft,
): void {
  const key = sourceNatKey(sourceNat)
  const stands = observed.sourceNats.some((candidate) => sourceNatKey(candidate) === key)
  const owned = ledger.sourceNats.has(key)
  const op: Op = { kind: 'source-nat.add', sourceNat }
  if (stands && !owned && !desired.adopt) {
    draft.conflicts.push(conflict(op, `source nat ${key}`))
    return
  }
  if (!stands) draft.adds.push(op)
  if (!owned) draft.claims.push({ kind: 'source-nat', sourceNat })
}

export function conflict(op: Op, object: string): FailedOp {
  return { op: describeOp(op), code: 'conflict', message: conflictMessage(object) }
}
