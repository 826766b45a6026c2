/** Source NAT: a table of its own beside that of clamps and marks, so that either can come and go. */
import { familyOf, sourceNatKey, type Op, type SourceNatState } from '@lvs-fleet/contract'
import { OwnTables, type TableGrammar } from './own-tables.ts'
import type { RunNft } from './run-nft.ts'
import {
  listSourceNatArguments,
  parseSourceNats,
  parseSourceNatTables,
  sourceNatScript,
} from './source-nat-rules.ts'

export type SourceNatOp = Extract<Op, { kind: `source-nat.${string}` }>
type Content = readonly SourceNatState[]

const GRAMMAR: TableGrammar<Content, SourceNatOp> = {
  operation: 'list source nat',
  nothing: [],
  listArguments: listSourceNatArguments,
  parse: parseSourceNats,
  parseTables: parseSourceNatTables,
  join: (a, b) => [...a, ...b],
  withOps: applyOps,
  script: (from, to) => sourceNatScript(byKey(from), byKey(to)),
  familiesOf: (pairs) => pairs.map(({ vip }) => familyOf(vip)),
}

export class SourceNats extends OwnTables<Content, SourceNatOp> {
  constructor(run?: RunNft) {
    super(GRAMMAR, run)
  }
}

function applyOps(from: Content, ops: readonly SourceNatOp[]): Content {
  const to = new Map(byKey(from))
  for (const { kind, sourceNat } of ops) {
    if (kind === 'source-nat.add') to.set(sourceNatKey(sourceNat), sourceNat)
    else to.delete(sourceNatKey(sourceNat))
  }
  return [...to.values()]
}

function byKey(pairs: Content): ReadonlyMap<string, SourceNatState> {
  return new Map(pairs.map((pair) => [sourceNatKey(pair), pair]))
}
