/**
 * The source NAT part of the kernel port, after the manner of the clamps: nft is asked once at the start, and as
 * long as tables of ours stand.
 */
import {
  familyOf,
  sourceNatKey,
  type Family,
  type Op,
  type SourceNatState,
} from '@lvs-fleet/contract'
import type { Applied } from '../applied.ts'
import { KernelError } from '../kernel.ts'
import type { NetlinkFailure } from '../netlink/message.ts'
import { runNft, type RunNft } from './run-nft.ts'
import {
  listSourceNatArguments,
  parseSourceNats,
  parseSourceNatTables,
  sourceNatScript,
  type SourceNatTable,
} from './source-nat-rules.ts'

export type SourceNatOp = Extract<Op, { kind: `source-nat.${string}` }>

export class SourceNats {
  private readonly run: RunNft
  /** Families with a table of ours; undefined until nft was asked. */
  private tables: ReadonlySet<Family> | undefined

  constructor(run: RunNft = runNft) {
    this.run = run
  }

  async observe(): Promise<readonly SourceNatState[]> {
    const tables = (this.tables ??= await this.findTables())
    const pairs: SourceNatState[] = []
    for (const family of tables) {
      const result = await this.run(listSourceNatArguments(family), '')
      if (result.ok) pairs.push(...parseSourceNats(result.output))
      // Somebody took the table away: that is drift, and no source NAT.
      else if (result.code !== 'ENOENT') throw toError(result)
    }
    return pairs
  }

  /** All ops in one transaction; where nft refuses that, one by one, so that one does not stop all. */
  async apply(ops: readonly SourceNatOp[]): Promise<Applied> {
    const failure = await this.transact(ops)
    if (failure === undefined || ops.length === 1) {
      return { failures: ops.map(() => failure), writeCount: 1 }
    }
    const failures: (NetlinkFailure | undefined)[] = []
    for (const op of ops) failures.push(await this.transact([op]))
    return { failures, writeCount: 1 + ops.length }
  }

  private async transact(ops: readonly SourceNatOp[]): Promise<NetlinkFailure | undefined> {
    let from: SourceNatTable
    try {
      from = tableOf(await this.observe())
    } catch (error) {
      if (!(error instanceof KernelError)) throw error
      return { code: error.code, message: error.message }
    }
    const to = applyOps(from, ops)
    const script = sourceNatScript(from, to)
    if (script === '') return undefined
    const result = await this.run(['-f', '-'], `${script}\n`)
    if (!result.ok) return { code: result.code, message: result.message }
    this.tables = new Set([...to.values()].map(({ vip }) => familyOf(vip)))
    return undefined
  }

  private async findTables(): Promise<ReadonlySet<Family>> {
    const result = await this.run(['-j', 'list', 'tables'], '')
    if (result.ok) return new Set(parseSourceNatTables(result.output))
    // No nft here, so no tables either; writing one will say what is missing.
    if (result.code === 'ENOTSUP') return new Set()
    throw toError(result)
  }
}

function tableOf(pairs: readonly SourceNatState[]): SourceNatTable {
  return new Map(pairs.map((pair) => [sourceNatKey(pair), pair]))
}

function applyOps(from: SourceNatTable, ops: readonly SourceNatOp[]): SourceNatTable {
  const to = new Map(from)
  for (const { kind, sourceNat } of ops) {
    if (kind === 'source-nat.add') to.set(sourceNatKey(sourceNat), sourceNat)
    else to.delete(sourceNatKey(sourceNat))
  }
  return to
}

function toError(result: { readonly code: string; readonly message: string }): KernelError {
  return new KernelError('list source nat', result.code, result.message)
}
