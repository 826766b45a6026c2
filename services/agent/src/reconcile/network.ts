/** Observes, plans and applies the network part: devices, GUE ports, sysctls, addresses, clamps, source NAT, marks, IPVS settings. One group. */
import {
  addressKey,
  familyOf,
  guePortKey,
  markKey,
  sourceNatKey,
  type FailedOp,
  type HostPart,
  type Ip,
  type Op,
} from '@lvs-fleet/contract'
import { sendForgiving } from '../apply/apply.ts'
import type { Outcome } from '../kernel/kernel.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { objectKey, type Claim, type NetworkPlan, type ObservedHost } from '../plan/network-plan.ts'
import { gainsPackets } from '../plan/mark-turn.ts'
import { placeSysctls } from '../plan/place-sysctls.ts'
import { planNetwork } from '../plan/plan-network.ts'
import { failedOpsOf } from './troubles.ts'
import { noRound, saveLedger, type Cause, type RoundResult, type World } from './world.ts'

/** The group's name among troubles; no service key looks like it. */
export const NETWORK_GROUP = 'network'

export type NetworkRound = { readonly plan: NetworkPlan; readonly observed: ObservedHost }

/** Looks and plans; undefined when there is nothing that concerns us. Changes nothing. */
export async function planNetworkRound(world: World): Promise<NetworkRound | undefined> {
  const { inForce, book, kernel, clock } = world
  if (concernsNothing(inForce.host, book.ledger)) return undefined
  const { ledger } = book
  const network = await kernel.observeNetwork()
  const host = placeSysctls(inForce.host, network)
  const keys = new Set([...host.sysctls.map(({ key }) => key), ...ledger.sysctls.keys()])
  const matters = (wanted: readonly unknown[], owned: ReadonlyMap<string, unknown>): boolean =>
    wanted.length > 0 || owned.size > 0
  const observed: ObservedHost = {
    network,
    guePorts: matters(host.guePorts, ledger.guePorts) ? await kernel.observeGuePorts() : [],
    sysctls: keys.size === 0 ? new Map() : await kernel.readSysctls([...keys]),
    clamps: matters(host.clamps, ledger.clamps) ? await kernel.observeClamps() : [],
    marks: matters(host.marks, ledger.marks) ? await kernel.observeMarks() : [],
    timeouts: matters(host.timeouts, ledger.timeouts) ? await kernel.readTimeouts() : undefined,
    syncDaemons: matters(host.syncDaemons, ledger.syncDaemons)
      ? await kernel.listSyncDaemons()
      : [],
    sourceNats: matters(host.sourceNats, ledger.sourceNats) ? await kernel.observeSourceNats() : [],
  }
  const draining = drainingAddresses(world)
  const wanted = wantedAddresses(world)
  const plan = planNetwork(host, observed, {
    ledger,
    nowMs: clock.monotonicMs(),
    usesAddress: (address) => wanted.has(address) || draining.has(address),
    wantsAddress: (address) => wanted.has(address),
    drainsAddress: (address) => draining.has(address),
  })
  return { plan, observed }
}

/** Claims on disk, then everything that is made or edited. `settleNetwork` must follow. */
export async function applyNetworkAdds(world: World, { plan }: NetworkRound): Promise<Outcome[]> {
  const { ledger } = world.book
  for (const claim of plan.claims) record(ledger, claim)
  if (plan.claims.length > 0) world.book.touch()
  if (noteLingers(ledger, plan)) world.book.touch()
  await saveLedger(world)
  return sendForgiving(world.kernel, plan.adds)
}

/**
 * Turns packets to the services that can answer now, unless one of those could not be made. Only between making
 * them and removing the ones before.
 */
export async function applyMarks(world: World, { plan }: NetworkRound): Promise<Outcome[]> {
  return isBlocked(world, plan.marks) ? [] : sendForgiving(world.kernel, plan.marks)
}

function isBlocked(world: World, marks: readonly Op[]): boolean {
  if (marks.length === 0) return false
  for (const [key, service] of world.inForce.services) {
    if (gainsPackets(service, marks) && world.troubles.has(key)) return true
  }
  return false
}

/** Removals, unless an add failed; then what is ours, what failed, what was drift. */
export async function settleNetwork(
  world: World,
  { plan }: NetworkRound,
  added: readonly Outcome[],
  cause: Cause,
): Promise<RoundResult> {
  const { ledger } = world.book
  const addFailed = added.some((outcome) => !outcome.ok)
  const removed = addFailed ? [] : await sendForgiving(world.kernel, plan.removals)
  for (const outcome of added) {
    if (!outcome.ok) disclaim(world, plan, outcome)
    else if (isDeparture(world.inForce.host, outcome.op)) {
      forget(ledger, outcome.op)
      world.book.touch()
    }
  }
  for (const outcome of removed) if (outcome.ok) forget(ledger, outcome.op)
  for (const key of plan.gone) forgetKey(ledger, key)
  if (removed.length > 0 || plan.gone.length > 0) world.book.touch()
  // Only now: what left in this plan lingers as the state said that last wanted it.
  if (ledger.lingerSeconds !== world.inForce.host.lingerSeconds) {
    ledger.lingerSeconds = world.inForce.host.lingerSeconds
    world.book.touch()
  }
  await saveLedger(world)

  const wasTrouble = world.troubles.has(NETWORK_GROUP)
  const failed: FailedOp[] = [...failedOpsOf([...added, ...removed]), ...plan.conflicts]
  world.troubles.record(NETWORK_GROUP, failed, world.clock.monotonicMs())
  const drift = cause === 'verify' && !wasTrouble ? added.filter((o) => o.ok).map((o) => o.op) : []
  world.repairs.add(drift, world.clock.wallMs())
  return { ops: added.length + removed.length, failed: failed.length, drift: drift.length }
}

/** The whole network part in one go, for rounds that touch no services in between. */
export async function reconcileNetwork(world: World, cause: Cause): Promise<RoundResult> {
  const round = await planNetworkRound(world)
  if (round === undefined) {
    world.troubles.drop(NETWORK_GROUP)
    return noRound()
  }
  const added = await applyNetworkAdds(world, round)
  return settleNetwork(world, round, [...added, ...(await applyMarks(world, round))], cause)
}

function concernsNothing(host: HostPart, ledger: Ledger): boolean {
  const { devices, guePorts, addresses, sysctls, clamps, sourceNats } = host
  const { marks, timeouts, syncDaemons } = host
  const objects = [devices, guePorts, addresses, sysctls, clamps, sourceNats]
  const wanted = [...objects, marks, timeouts, syncDaemons]
  const owned = [
    ledger.devices,
    ledger.guePorts,
    ledger.addresses,
    ledger.sysctls,
    ledger.clamps,
    ledger.marks,
    ledger.timeouts,
    ledger.syncDaemons,
    ledger.sourceNats,
  ]
  return wanted.every((list) => list.length === 0) && owned.every((map) => map.size === 0)
}

function wantedAddresses({ inForce }: World): Set<Ip> {
  const addresses = new Set(inForce.host.marks.map((mark) => mark.address))
  for (const service of inForce.services.values()) {
    if ('address' in service) addresses.add(service.address)
  }
  return addresses
}

/** Addresses of virtual services of ours that left the state and still stand; our marks say those of a mark. */
export function drainingAddresses(world: World): Set<string> {
  const { ledger } = world.book
  const addresses = new Set<string>()
  for (const key of ledger.services.keys()) {
    const service = world.standing.get(key)
    if (service === undefined || world.inForce.services.has(key)) continue
    if ('address' in service) addresses.add(service.address)
    else {
      for (const { address, mark } of ledger.marks.values()) {
        if (mark === service.firewallMark && familyOf(address) === service.family) {
          addresses.add(address)
        }
      }
    }
  }
  return addresses
}

/** An op outside the removals that ends something of ours for good. */
function isDeparture(host: HostPart, op: Op): boolean {
  if (op.kind === 'mark.remove') return true
  return (
    op.kind === 'sync.stop' && !host.syncDaemons.some((daemon) => daemon.role === op.daemon.role)
  )
}

/** Takes the plan's deadlines over; true when the ledger changed. */
function noteLingers(ledger: Ledger, plan: NetworkPlan): boolean {
  let changed = plan.lingers.size !== ledger.lingers.size
  for (const [key, deadline] of plan.lingers) changed ||= ledger.lingers.get(key) !== deadline
  if (!changed) return false
  ledger.lingers.clear()
  for (const [key, deadline] of plan.lingers) ledger.lingers.set(key, deadline)
  return true
}

function record(ledger: Ledger, claim: Claim): void {
  if (claim.kind === 'device') ledger.devices.set(claim.device.name, claim.device)
  else if (claim.kind === 'gue-port') ledger.guePorts.set(guePortKey(claim.guePort), claim.guePort)
  else if (claim.kind === 'address') ledger.addresses.set(addressKey(claim.address), claim.address)
  else if (claim.kind === 'sysctl') ledger.sysctls.set(claim.sysctl.key, claim.sysctl)
  else if (claim.kind === 'mark') ledger.marks.set(markKey(claim.mark), claim.mark)
  else if (claim.kind === 'timeout') ledger.timeouts.set(claim.timeout.name, claim.timeout)
  else if (claim.kind === 'sync') ledger.syncDaemons.set(claim.daemon.role, claim.daemon)
  else if (claim.kind === 'source-nat') {
    ledger.sourceNats.set(sourceNatKey(claim.sourceNat), claim.sourceNat)
  } else ledger.clamps.set(claim.clamp.address, claim.clamp)
}

/** What was not made is not ours; a timeout may have made it. */
function disclaim(world: World, plan: NetworkPlan, outcome: Outcome): void {
  if (outcome.ok || outcome.code === 'ETIMEDOUT') return
  const { op } = outcome
  const key = keyOf(op)
  const claimedNow = plan.claims.some((claim) => claimKey(claim) === key)
  // A sysctl, clamp or timeout that could not be edited may still be ours from before.
  if (!claimedNow || !makesAnew(op)) return
  forgetKey(world.book.ledger, key)
  world.book.touch()
}

const CREATIONS: ReadonlySet<Op['kind']> = new Set([
  'device.create',
  'gue-port.open',
  'address.add',
  'source-nat.add',
  'sync.start',
])

function makesAnew(op: Op): boolean {
  return op.kind === 'mark.set' ? op.from === null : CREATIONS.has(op.kind)
}

function forget(ledger: Ledger, op: Op): void {
  forgetKey(ledger, keyOf(op))
}

function forgetKey(ledger: Ledger, key: string): void {
  ledger.lingers.delete(key)
  const [kind, ...rest] = key.split(' ')
  const name = rest.join(' ')
  if (kind === 'device') ledger.devices.delete(name)
  else if (kind === 'gue-port') ledger.guePorts.delete(name)
  else if (kind === 'address') ledger.addresses.delete(name)
  else if (kind === 'sysctl') ledger.sysctls.delete(name)
  else if (kind === 'clamp') ledger.clamps.delete(name)
  else if (kind === 'mark') ledger.marks.delete(name)
  else if (kind === 'timeout') ledger.timeouts.delete(name)
  else if (kind === 'sync') ledger.syncDaemons.delete(name)
  else if (kind === 'source-nat') ledger.sourceNats.delete(name)
}

function claimKey(claim: Claim): string {
  if (claim.kind === 'device') return objectKey.device(claim.device)
  if (claim.kind === 'gue-port') return objectKey.guePort(claim.guePort)
  if (claim.kind === 'address') return objectKey.address(claim.address)
  if (claim.kind === 'sysctl') return objectKey.sysctl(claim.sysctl.key)
  if (claim.kind === 'mark') return objectKey.mark(claim.mark)
  if (claim.kind === 'timeout') return objectKey.timeout(claim.timeout.name)
  if (claim.kind === 'sync') return objectKey.sync(claim.daemon.role)
  if (claim.kind === 'source-nat') return objectKey.sourceNat(claim.sourceNat)
  return objectKey.clamp(claim.clamp.address)
}

/** Of an op of the network part; no other op comes here. */
function keyOf(op: Op): string {
  if ('device' in op) return objectKey.device(op.device)
  if ('guePort' in op) return objectKey.guePort(op.guePort)
  if ('address' in op) return objectKey.address(op.address)
  if ('sourceNat' in op) return objectKey.sourceNat(op.sourceNat)
  if ('clamp' in op) return objectKey.clamp(op.clamp.address)
  if ('mark' in op) return objectKey.mark(op.mark)
  if ('daemon' in op) return objectKey.sync(op.daemon.role)
  if ('name' in op) return objectKey.timeout(op.name)
  return 'key' in op ? objectKey.sysctl(op.key) : ''
}
