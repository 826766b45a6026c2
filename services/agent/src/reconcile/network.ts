/** Observes, plans and applies the network part: devices, GUE ports, sysctls, addresses, clamps, source NAT. One group. */
import {
  addressKey,
  guePortKey,
  sourceNatKey,
  type FailedOp,
  type HostPart,
  type Op,
} from '@lvs-fleet/contract'
import { sendForgiving } from '../apply/apply.ts'
import type { Outcome } from '../kernel/kernel.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { objectKey, type Claim, type NetworkPlan, type ObservedHost } from '../plan/network-plan.ts'
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
  const keys = new Set([
    ...inForce.host.sysctls.map((sysctl) => sysctl.key),
    ...book.ledger.sysctls.keys(),
  ])
  const guePortsMatter = inForce.host.guePorts.length > 0 || book.ledger.guePorts.size > 0
  const clampsMatter = inForce.host.clamps.length > 0 || book.ledger.clamps.size > 0
  const sourceNatsMatter = inForce.host.sourceNats.length > 0 || book.ledger.sourceNats.size > 0
  const observed: ObservedHost = {
    network: await kernel.observeNetwork(),
    guePorts: guePortsMatter ? await kernel.observeGuePorts() : [],
    sysctls: keys.size === 0 ? new Map() : await kernel.readSysctls([...keys]),
    clamps: clampsMatter ? await kernel.observeClamps() : [],
    sourceNats: sourceNatsMatter ? await kernel.observeSourceNats() : [],
  }
  const draining = drainingAddresses(world)
  const used = new Set(draining)
  for (const service of inForce.services.values()) used.add(service.address)
  const plan = planNetwork(inForce.host, observed, {
    ledger: book.ledger,
    nowMs: clock.monotonicMs(),
    usesAddress: (address) => used.has(address),
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
  for (const outcome of added) if (!outcome.ok) disclaim(world, plan, outcome)
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
  return settleNetwork(world, round, await applyNetworkAdds(world, round), cause)
}

function concernsNothing(host: HostPart, ledger: Ledger): boolean {
  const { devices, guePorts, addresses, sysctls, clamps, sourceNats } = host
  const wanted = [devices, guePorts, addresses, sysctls, clamps, sourceNats]
  const owned = [
    ledger.devices,
    ledger.guePorts,
    ledger.addresses,
    ledger.sysctls,
    ledger.clamps,
    ledger.sourceNats,
  ]
  return wanted.every((list) => list.length === 0) && owned.every((map) => map.size === 0)
}

/** Addresses of virtual services of ours that left the state and still stand. */
function drainingAddresses(world: World): Set<string> {
  const addresses = new Set<string>()
  for (const key of world.book.ledger.services.keys()) {
    const service = world.standing.get(key)
    if (service !== undefined && !world.inForce.services.has(key)) addresses.add(service.address)
  }
  return addresses
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
  else if (claim.kind === 'clamp') ledger.clamps.set(claim.clamp.address, claim.clamp)
  else ledger.sourceNats.set(sourceNatKey(claim.sourceNat), claim.sourceNat)
}

const CREATIONS: ReadonlySet<Op['kind']> = new Set([
  'device.create',
  'gue-port.open',
  'address.add',
  'source-nat.add',
])

/** What was not made is not ours; a timeout may have made it. */
function disclaim(world: World, plan: NetworkPlan, outcome: Outcome): void {
  if (outcome.ok || outcome.code === 'ETIMEDOUT') return
  const { op } = outcome
  const key = keyOf(op)
  const claimedNow = plan.claims.some((claim) => claimKey(claim) === key)
  // A sysctl or clamp that could not be edited may still be ours from before.
  if (!claimedNow || !CREATIONS.has(op.kind)) return
  forgetKey(world.book.ledger, key)
  world.book.touch()
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
  else if (kind === 'source-nat') ledger.sourceNats.delete(name)
}

function claimKey(claim: Claim): string {
  if (claim.kind === 'device') return objectKey.device(claim.device)
  if (claim.kind === 'gue-port') return objectKey.guePort(claim.guePort)
  if (claim.kind === 'address') return objectKey.address(claim.address)
  if (claim.kind === 'sysctl') return objectKey.sysctl(claim.sysctl.key)
  if (claim.kind === 'clamp') return objectKey.clamp(claim.clamp.address)
  return objectKey.sourceNat(claim.sourceNat)
}

/** Of an op of the network part; no other op comes here. */
function keyOf(op: Op): string {
  if ('device' in op) return objectKey.device(op.device)
  if ('guePort' in op) return objectKey.guePort(op.guePort)
  if ('address' in op) return objectKey.address(op.address)
  if ('sourceNat' in op) return objectKey.sourceNat(op.sourceNat)
  if ('clamp' in op) return objectKey.clamp(op.clamp.address)
  return 'key' in op ? objectKey.sysctl(op.key) : ''
}
