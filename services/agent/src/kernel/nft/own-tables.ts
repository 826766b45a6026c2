/**
 * Tables of nftables that the agent alone has, whatever stands in them. A process start costs tens of milliseconds, so
 * nft is asked only when there can be something to say: once at the start (a former agent may have left tables), and
 * as long as tables of ours stand.
 */
import type { Family } from '@lvs-fleet/contract'
import type { Applied } from '../applied.ts'
import { KernelError } from '../kernel.ts'
import type { NetlinkFailure } from '../netlink/message.ts'
import { runNft, type RunNft } from './run-nft.ts'

/** What one kind of table holds, and how nft says it. Pure. */
export type TableGrammar<Content, Op> = {
  /** For errors: `list clamps and marks`. */
  readonly operation: string
  readonly nothing: Content
  /** Arguments that print the table of one family as JSON. */
  readonly listArguments: (family: Family) => readonly string[]
  readonly parse: (json: string) => Content
  /** Families with a table of ours, from `nft -j list tables`. */
  readonly parseTables: (json: string) => readonly Family[]
  readonly join: (a: Content, b: Content) => Content
  readonly withOps: (content: Content, ops: readonly Op[]) => Content
  /** One transaction from one content to another; empty when nothing differs. */
  readonly script: (from: Content, to: Content) => string
  readonly familiesOf: (content: Content) => readonly Family[]
}

export class OwnTables<Content, Op> {
  private readonly grammar: TableGrammar<Content, Op>
  private readonly run: RunNft
  /** Families with a table of ours; undefined until nft was asked. */
  private tables: ReadonlySet<Family> | undefined

  constructor(grammar: TableGrammar<Content, Op>, run: RunNft = runNft) {
    this.grammar = grammar
    this.run = run
  }

  async observe(): Promise<Content> {
    const { grammar } = this
    const tables = (this.tables ??= await this.findTables())
    let content = grammar.nothing
    for (const family of tables) {
      const result = await this.run(grammar.listArguments(family), '')
      if (result.ok) content = grammar.join(content, grammar.parse(result.output))
      // Somebody took the table away: that is drift, and nothing stands in it.
      else if (result.code !== 'ENOENT') throw this.errorOf(result)
    }
    return content
  }

  /** All ops in one transaction; where nft refuses that, one by one, so that one does not stop all. */
  async apply(ops: readonly Op[]): Promise<Applied> {
    const failure = await this.transact(ops)
    if (failure === undefined || ops.length === 1) {
      return { failures: ops.map(() => failure), writeCount: 1 }
    }
    const failures: (NetlinkFailure | undefined)[] = []
    for (const op of ops) failures.push(await this.transact([op]))
    return { failures, writeCount: 1 + ops.length }
  }

  private async transact(ops: readonly Op[]): Promise<NetlinkFailure | undefined> {
    const { grammar } = this
    let from: Content
    try {
      from = await this.observe()
    } catch (error) {
      if (!(error instanceof KernelError)) throw error
      return { code: error.code, message: error.message }
    }
    const to = grammar.withOps(from, ops)
    const script = grammar.script(from, to)
    if (script === '') return undefined
    const result = await this.run(['-f', '-'], `${script}\n`)
    if (!result.ok) return { code: result.code, message: result.message }
    this.tables = new Set(grammar.familiesOf(to))
    return undefined
  }

  private async findTables(): Promise<ReadonlySet<Family>> {
    const result = await this.run(['-j', 'list', 'tables'], '')
    if (result.ok) return new Set(this.grammar.parseTables(result.output))
    // No nft here, so no tables either; writing one will say what is missing.
    if (result.code === 'ENOTSUP') return new Set()
    throw this.errorOf(result)
  }

  private errorOf(result: { readonly code: string; readonly message: string }): KernelError {
    return new KernelError(this.grammar.operation, result.code, result.message)
  }
}
