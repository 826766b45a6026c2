/**
 * Carries out ops in order. Runs of ops that one subsystem takes go out together: IPVS ops as long as
 * they last, network ops as long as their kind stays (an address may need the device before it).
 */
import type { Op } from '@lvs-fleet/contract'
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
    run.ops.forEach((op, i) => {
      const failure = failures[i]
      outcomes.push(failure === undefined ? { op, ok: true } : { op, ok: false, ...failure })
    })
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

/** What takes ops of a kind. Network ops go by their kind. */
const TAKERS = {
  'service.create': 'ipvs',
  'service.update': 'ipvs',
  'service.remove': 'ipvs',
  'destination.create': 'ipvs',
  'destination.update': 'ipvs',
  'destination.remove': 'ipvs',
  'device.create': 'network',
  'device.update': 'network',
  'device.remove': 'network',
  'address.add': 'network',
  'address.remove': 'network',
  'gue-port.open': 'gue-port',
  'gue-port.close': 'gue-port',
  'sysctl.set': 'sysctl',
  'clamp.set': 'table',
  'clamp.remove': 'table',
  'mark.set': 'table',
  'mark.remove': 'table',
  'timeout.set': 'settings',
  'sync.start': 'settings',
  'sync.stop': 'settings',
  'source-nat.add': 'source-nat',
  'source-nat.remove': 'source-nat',
} as const satisfies Readonly<Record<Op['kind'], Run['kind']>>

function runName({ kind }: Op): string {
  const taker = TAKERS[kind]
  return taker === 'network' ? kind : taker
}

/** `cutIntoRuns` put only ops of one taker together, which slices cannot say to the compiler. */
function toRun(first: Op, ops: readonly Op[]): Run {
  return { kind: TAKERS[first.kind], ops } as Run
}
