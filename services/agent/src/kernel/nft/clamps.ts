/**
 * The clamp part of the kernel port. A process start costs tens of milliseconds, so nft is asked only
 * when there can be something to say: once at the start (a former agent may have left tables), and as
 * long as tables of ours stand.
 */
import { familyOf, type ClampState, type Family, type Ip, type Op } from '@lvs-fleet/contract'
import type { Applied } from '../applied.ts'
import { KernelError } from '../kernel.ts'
import type { NetlinkFailure } from '../netlink/message.ts'
import {
  clampScript,
  listArguments,
  parseClamps,
  parseTables,
  type ClampTable,
} from './clamp-rules.ts'
import { runNft, type RunNft } from './run-nft.ts'

export type ClampOp = Extract<Op, { kind: `clamp.${string}` }>

export class Clamps {
  private readonly run: RunNft
  /** Families with a table of ours; undefined until nft was asked. */
  private tables: ReadonlySet<Family> | undefined

  constructor(run: RunNft = runNft) {
    this.run = run
  }

  async observe(): Promise<readonly ClampState[]> {
    const tables = (this.tables ??= await this.findTables())
    const clamps: ClampState[] = []
    for (const family of tables) {
      const result = await this.run(listArguments(family), '')
      if (result.ok) clamps.push(...parseClamps(result.output))
      // Somebody took the table away: that is drift, and no clamp.
      else if (result.code !== 'ENOENT') throw toError(result)
    }
    return clamps
  }

  /** All ops in one transaction; where nft refuses that, one by one, so that one does not stop all. */
  async apply(ops: readonly ClampOp[]): Promise<Applied> {
    const failure = await this.transact(ops)
    if (failure === undefined || ops.length === 1) {
      return { failures: ops.map(() => failure), writeCount: 1 }
    }
    const failures: (NetlinkFailure | undefined)[] = []
    for (const op of ops) failures.push(await this.transact([op]))
    return { failures, writeCount: 1 + ops.length }
  }

  private async transact(ops: readonly ClampOp[]): Promise<NetlinkFailure | undefined> {
    let from: ClampTable
    try {
      from = new Map((await this.observe()).map(({ address, mss }) => [address, mss]))
    } catch (error) {
      if (!(error instanceof KernelError)) throw error
      return { code: error.code, message: error.message }
    }
    const to = applyOps(from, ops)
    const script = clampScript(from, to)
    if (script === '') return undefined
    const result = await this.run(['-f', '-'], `${script}\n`)
    if (!result.ok) return { code: result.code, message: result.message }
    this.tables = new Set([...to.keys()].map(familyOf))
    return undefined
  }

  private async findTables(): Promise<ReadonlySet<Family>> {
    const result = await this.run(['-j', 'list', 'tables'], '')
    if (result.ok) return new Set(parseTables(result.output))
    // No nft here, so no clamps either; writing one will say what is missing.
    if (result.code === 'ENOTSUP') return new Set()
    throw toError(result)
  }
}

function applyOps(from: ClampTable, ops: readonly ClampOp[]): ClampTable {
  const to = new Map<Ip, number>(from)
  for (const { kind, clamp } of ops) {
    if (kind === 'clamp.set') to.set(clamp.address, clamp.mss)
    else to.delete(clamp.address)
  }
  return to
}

function toError(result: { readonly code: string; readonly message: string }): KernelError {
  return new KernelError('list clamps', result.code, result.message)
}
