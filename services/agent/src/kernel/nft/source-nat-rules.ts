/**
 * Source NAT as nftables: what nft must read to get from one set of pairs to another, and what it prints about them.
 * A table of its own beside that of the clamps, so that either can come and go. One rule per family and a set of
 * pairs: the address that the client asked for, which conntrack remembers (nft has no match for IPVS), and the real
 * server that the packet goes to now. Nothing but what IPVS sent there by NAT is both. Needs net.ipv4.vs.conntrack=1.
 */
import { familyOf, parseIp, type Family, type SourceNatState } from '@lvs-fleet/contract'
import { KernelError } from '../kernel.ts'
import { isRecord, objectsOf } from './table-script.ts'

export const SOURCE_NAT_TABLE = 'lvsfleet-nat'
const SET = 'sources'
const CHAIN = 'source'
const FAMILIES = ['ipv4', 'ipv6'] as const
const NFT_FAMILY: Readonly<Record<Family, string>> = { ipv4: 'ip', ipv6: 'ip6' }

/** By key. */
export type SourceNatTable = ReadonlyMap<string, SourceNatState>

/** One transaction, for `nft -f -`; empty when nothing differs. */
export function sourceNatScript(from: SourceNatTable, to: SourceNatTable): string {
  return FAMILIES.flatMap((family) => familyScript(family, from, to)).join('\n')
}

/** Arguments that print the pairs of one family as JSON. */
export function listSourceNatArguments(family: Family): readonly string[] {
  return ['-j', 'list', 'set', NFT_FAMILY[family], SOURCE_NAT_TABLE, SET]
}

/** Which families have a table of ours, from `nft -j list tables`. */
export function parseSourceNatTables(json: string): readonly Family[] {
  const names = new Set(
    objectsOf(json).flatMap(({ table }) =>
      isRecord(table) && table['name'] === SOURCE_NAT_TABLE ? [table['family']] : [],
    ),
  )
  return FAMILIES.filter((family) => names.has(NFT_FAMILY[family]))
}

/** The elements of `nft -j list set`. */
export function parseSourceNats(json: string): readonly SourceNatState[] {
  return objectsOf(json).flatMap(({ set }) => {
    const elements = isRecord(set) && Array.isArray(set['elem']) ? set['elem'] : []
    return elements.map(parseElement)
  })
}

function familyScript(family: Family, from: SourceNatTable, to: SourceNatTable): readonly string[] {
  const wanted = ofFamily(to, family)
  const gone = ofFamily(from, family).filter(([key]) => !to.has(key))
  const added = wanted.filter(([key]) => !from.has(key))
  if (gone.length === 0 && added.length === 0) return []
  const nft = NFT_FAMILY[family]
  // `add` of what exists does nothing, so that both ways work on any start.
  if (wanted.length === 0) {
    return [`add table ${nft} ${SOURCE_NAT_TABLE}`, `delete table ${nft} ${SOURCE_NAT_TABLE}`]
  }
  return [
    ...sourceNatScaffold(family),
    ...elementLine('delete', nft, gone),
    ...elementLine('add', nft, added),
  ]
}

function sourceNatScaffold(family: Family): readonly string[] {
  const nft = NFT_FAMILY[family]
  const type = family === 'ipv4' ? 'ipv4_addr' : 'ipv6_addr'
  const hook = 'type nat hook postrouting priority srcnat; policy accept;'
  return [
    `add table ${nft} ${SOURCE_NAT_TABLE}`,
    `add set ${nft} ${SOURCE_NAT_TABLE} ${SET} { type ${type} . ${type}; }`,
    `add chain ${nft} ${SOURCE_NAT_TABLE} ${CHAIN} { ${hook} }`,
    `flush chain ${nft} ${SOURCE_NAT_TABLE} ${CHAIN}`,
    `add rule ${nft} ${SOURCE_NAT_TABLE} ${CHAIN} ct original ${nft} daddr . ${nft} daddr @${SET} masquerade`,
  ]
}

function elementLine(
  verb: 'add' | 'delete',
  nft: string,
  pairs: readonly (readonly [string, SourceNatState])[],
): readonly string[] {
  if (pairs.length === 0) return []
  const list = pairs.map(([, { vip, server }]) => `${vip} . ${server}`).join(', ')
  return [`${verb} element ${nft} ${SOURCE_NAT_TABLE} ${SET} { ${list} }`]
}

function ofFamily(
  table: SourceNatTable,
  family: Family,
): readonly (readonly [string, SourceNatState])[] {
  return [...table].filter(([, { vip }]) => familyOf(vip) === family)
}

function parseElement(element: unknown): SourceNatState {
  const pair: unknown = isRecord(element) ? element['concat'] : undefined
  const [first, second]: readonly unknown[] = Array.isArray(pair) ? pair : []
  const vip = typeof first === 'string' ? parseIp(first) : undefined
  const server = typeof second === 'string' ? parseIp(second) : undefined
  if (vip === undefined || server === undefined) {
    const detail = `nft printed something else: element ${JSON.stringify(element)}`
    throw new KernelError('read source nat', 'EBADMSG', detail)
  }
  return { vip, server }
}
