/**
 * The nftables part of the kernel port: MSS clamps and marks in tables that the agent alone has. A process
 * start costs tens of milliseconds, so nft is asked only when there can be something to say: once at the
 * start (a former agent may have left tables), and as long as tables of ours stand.
 */
import { familyOf, markKey, type Family, type Op } from '@lvs-fleet/contract'
import type { Applied } from '../applied.ts'
import { KernelError } from '../kernel.ts'
import type { NetlinkFailure } from '../netlink/message.ts'
import { runNft, type RunNft } from './run-nft.ts'
import {
  listArguments,
  parseTable,
  parseTables,
  tableScript,
  type TableContent,
} from './table-script.ts'

export type TableOp = Extract<Op, { kind: `clamp.${string}` | `mark.${string}` }>

const NOTHING: TableContent = { clamps: [], marks: [] }

export class Tables {
  private readonly run: RunNft
  /** Families with a table of ours; undefined until nft was asked. */
  private tables: ReadonlySet<Family> | undefined

  constructor(run: RunNft = runNft) {
    this.run = run
  }

  async observe(): Promise<TableContent> {
    const tables = (this.tables ??= await this.findTables())
    let content = NOTHING
    for (const family of tables) {
      const result = await this.run(listArguments(family), '')
      if (result.ok) content = join(content, parseTable(result.output))
      // Somebody took the table away: that is drift, and no clamp or mark.
      else if (result.code !== 'ENOENT') throw toError(result)
    }
    return content
  }

  /** All ops in one transaction; where nft refuses that, one by one, so that one does not stop all. */
  async apply(ops: readonly TableOp[]): Promise<Applied> {
    const failure = await this.transact(ops)
    if (failure === undefined || ops.length === 1) {
      return { failures: ops.map(() => failure), writeCount: 1 }
    }
    const failures: (NetlinkFailure | undefined)[] = []
    for (const op of ops) failures.push(await this.transact([op]))
    return { failures, writeCount: 1 + ops.length }
  }

  private async transact(ops: readonly TableOp[]): Promise<NetlinkFailure | undefined> {
    let from: TableContent
    try {
      from = await this.observe()
    } catch (error) {
      if (!(error instanceof KernelError)) throw error
      return { code: error.code, message: error.message }
    }
    const to = applyOps(from, ops)
    const script = tableScript(from, to)
    if (script === '') return undefined
    const result = await this.run(['-f', '-'], `${script}\n`)
    if (!result.ok) return { code: result.code, message: result.message }
    this.tables = new Set([...to.clamps, ...to.marks].map(({ address }) => familyOf(address)))
    return undefined
  }

  private async findTables(): Promise<ReadonlySet<Family>> {
    const result = await this.run(['-j', 'list', 'tables'], '')
    if (result.ok) return new Set(parseTables(result.output))
    // No nft here, so no tables either; writing one will say what is missing.
    if (result.code === 'ENOTSUP') return new Set()
    throw toError(result)
  }
}

function applyOps(from: TableContent, ops: readonly TableOp[]): TableContent {
  const clamps = new Map(from.clamps.map((clamp) => [clamp.address, clamp]))
  const marks = new Map(from.marks.map((mark) => [markKey(mark), mark]))
  for (const op of ops) {
    if (op.kind === 'clamp.set') clamps.set(op.clamp.address, op.clamp)
    else if (op.kind === 'clamp.remove') clamps.delete(op.clamp.address)
    else if (op.kind === 'mark.set') marks.set(markKey(op.mark), op.mark)
    else marks.delete(markKey(op.mark))
  }
  return { clamps: [...clamps.values()], marks: [...marks.values()] }
}

function join(a: TableContent, b: TableContent): TableContent {
  return {
    clamps: [...a.clamps, ...b.clamps],
    marks: [...a.marks, ...b.marks],
  }
}

function toError(result: { readonly code: string; readonly message: string }): KernelError {
  return new KernelError('list nftables', result.code, result.message)
}
