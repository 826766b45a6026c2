/** MSS clamps and marks: one table of ours for each family that has any. */
import { familyOf, markKey, type Op } from '@lvs-fleet/contract'
import { OwnTables, type TableGrammar } from './own-tables.ts'
import type { RunNft } from './run-nft.ts'
import {
  listArguments,
  parseTable,
  parseTables,
  tableScript,
  type TableContent,
} from './table-script.ts'

export type TableOp = Extract<Op, { kind: `clamp.${string}` | `mark.${string}` }>

const GRAMMAR: TableGrammar<TableContent, TableOp> = {
  operation: 'list nftables',
  nothing: { clamps: [], marks: [] },
  listArguments,
  parse: parseTable,
  parseTables,
  join: (a, b) => ({ clamps: [...a.clamps, ...b.clamps], marks: [...a.marks, ...b.marks] }),
  withOps: applyOps,
  script: tableScript,
  familiesOf: ({ clamps, marks }) => [...clamps, ...marks].map(({ address }) => familyOf(address)),
}

export class Tables extends OwnTables<TableContent, TableOp> {
  constructor(run?: RunNft) {
    super(GRAMMAR, run)
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
