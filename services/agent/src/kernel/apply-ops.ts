/**
 * Carries out ops in order. Runs of ops that one subsystem takes go out together: IPVS ops as long as
 * they last, network ops as long as their kind stays (an address may need the device before it).
 */
import { assertNever, type Op } from '@lvs-fleet/contract'
import type { GuePortOp } from './fou/gue-kernel.ts'
import type { IpvsOp } from './ipvs/encode.ts'
import type { SettingsOp } from './ipvs/settings.ts'
import { KernelError, type Outcome } from './kernel.ts'
import type { NetlinkFailure } from './netlink/message.ts'
import type { TableOp } from './nft/tables.ts'
import type { SourceNatOp } from './nft/source-nats.ts'
import type { NetworkOp } from './rtnl/rtnl-kernel.ts'
import type { SysctlOp } from './sysctl.ts'

export type Run =
  | { readonly kind: 'ipvs'; readonly ops: readonly IpvsOp[] }
  | { readonly kind: 'network'; readonly ops: readonly NetworkOp[] }
  | { readonly kind: 'gue-port'; readonly ops: readonly GuePortOp[] }
  | { readonly kind: 'sysctl'; readonly ops: readonly SysctlOp[] }
  | { readonly kind: 'table'; readonly ops: readonly TableOp[] }
  | { readonly kind: 'settings'; readonly ops: readonly SettingsOp[] }
  | { readonly kind: 'source-nat'; readonly ops: readonly SourceNatOp[] }

export type CarryOut = (run: Run) => Promise<readonly (NetlinkFailure | undefined)[]>

export async function applyOps(ops: readonly Op[], carryOut: CarryOut): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const run of cutIntoRuns(ops)) {
    const failures = await failuresOf(run, carryOut)
    for (const [i, op] of run.ops.entries()) {
      const failure = failures[i]
      outcomes.push(failure === undefined ? { op, ok: true } : { op, ok: false, ...failure })
    }
  }
  return outcomes
}

/** Lost infrastructure under one run is the outcome of its ops; the other runs still get their turn. */
async function failuresOf(
  run: Run,
  carryOut: CarryOut,
): Promise<readonly (NetlinkFailure | undefined)[]> {
  try {
    return await carryOut(run)
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
    const failure = { code: error.code, message: error.message }
    return run.ops.map(() => failure)
  }
}

export function cutIntoRuns(ops: readonly Op[]): readonly Run[] {
  const runs: Run[] = []
  let start = 0
  for (let i = 1; i <= ops.length; i++) {
    const first = ops[start]
    const next = ops[i]
    if (first === undefined || (next !== undefined && runName(next) === runName(first))) continue
    runs.push(toRun(first, ops.slice(start, i)))
    start = i
  }
  return runs
}

function runName(op: Op): string {
  const [object = ''] = op.kind.split('.', 1)
  if (object === 'service' || object === 'destination') return 'ipvs'
  if (object === 'clamp' || object === 'mark') return 'table'
  if (object === 'timeout' || object === 'sync') return 'settings'
  return object === 'device' || object === 'address' ? op.kind : object
}

function toRun(first: Op, ops: readonly Op[]): Run {
  switch (first.kind) {
    case 'service.create':
    case 'service.update':
    case 'service.remove':
    case 'destination.create':
    case 'destination.update':
    case 'destination.remove':
      return { kind: 'ipvs', ops: only<IpvsOp>(ops) }
    case 'device.create':
    case 'device.update':
    case 'device.remove':
    case 'address.add':
    case 'address.remove':
      return { kind: 'network', ops: only<NetworkOp>(ops) }
    case 'gue-port.open':
    case 'gue-port.close':
      return { kind: 'gue-port', ops: only<GuePortOp>(ops) }
    case 'sysctl.set':
      return { kind: 'sysctl', ops: only<SysctlOp>(ops) }
    case 'clamp.set':
    case 'clamp.remove':
    case 'mark.set':
    case 'mark.remove':
      return { kind: 'table', ops: only<TableOp>(ops) }
    case 'timeout.set':
    case 'sync.start':
    case 'sync.stop':
      return { kind: 'settings', ops: only<SettingsOp>(ops) }
    case 'source-nat.add':
    case 'source-nat.remove':
      return { kind: 'source-nat', ops: only<SourceNatOp>(ops) }
    default:
      return assertNever(first)
  }
}

/** `runName` put only ops of these kinds together, which slices cannot say to the compiler. */
function only<T extends Op>(ops: readonly Op[]): readonly T[] {
  return ops as readonly T[]
}
