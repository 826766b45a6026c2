/**
 * MSS clamps as nftables: what nft must read to get from one set of clamps to another, and what it
 * prints about them. Tables of `ip` and `ip6`, not `inet`, which not every kernel has; one rule per
 * family and a map from source address to MSS, so that a clamp is one element. The kernel only ever
 * lowers an MSS (nft_exthdr_tcp_set_eval), and leaves packets alone whose source is not in the map.
 * The output hook sees what this host answers itself: SYN-ACKs whose source is a VIP.
 */
import { familyOf, parseIp, type ClampState, type Family, type Ip } from '@lvs-fleet/contract'
import { KernelError } from '../kernel.ts'

export const TABLE = 'lvsfleet'
const MAP = 'mss'
const CHAIN = 'clamp'
const FAMILIES = ['ipv4', 'ipv6'] as const
const NFT_FAMILY: Readonly<Record<Family, string>> = { ipv4: 'ip', ipv6: 'ip6' }

export type ClampTable = ReadonlyMap<Ip, number>

/** One transaction, for `nft -f -`; empty when nothing differs. */
export function clampScript(from: ClampTable, to: ClampTable): string {
  return FAMILIES.flatMap((family) => familyScript(family, from, to)).join('\n')
}

/** Arguments that print the clamps of one family as JSON. */
export function listArguments(family: Family): readonly string[] {
  return ['-j', 'list', 'map', NFT_FAMILY[family], TABLE, MAP]
}

/** Which families have a table of ours, from `nft -j list tables`. */
export function parseTables(json: string): readonly Family[] {
  const names = new Set(
    objectsOf(json).flatMap(({ table }) =>
      isRecord(table) && table['name'] === TABLE ? [table['family']] : [],
    ),
  )
  return FAMILIES.filter((family) => names.has(NFT_FAMILY[family]))
}

/** The elements of `nft -j list map`. */
export function parseClamps(json: string): readonly ClampState[] {
  return objectsOf(json).flatMap(({ map }) => {
    const elements = isRecord(map) && Array.isArray(map['elem']) ? map['elem'] : []
    return elements.map(parseElement)
  })
}

function familyScript(family: Family, from: ClampTable, to: ClampTable): readonly string[] {
  const old = ofFamily(from, family)
  const wanted = ofFamily(to, family)
  const gone = old.filter(([address, mss]) => to.get(address) !== mss)
  const added = wanted.filter(([address, mss]) => from.get(address) !== mss)
  if (gone.length === 0 && added.length === 0) return []
  const nft = NFT_FAMILY[family]
  // `add` of what exists does nothing, so that both ways work on any start.
  if (wanted.length === 0) return [`add table ${nft} ${TABLE}`, `delete table ${nft} ${TABLE}`]
  return [
    ...scaffold(nft),
    ...elementLine(
      'delete',
      nft,
      gone.map(([address]) => address),
    ),
    ...elementLine(
      'add',
      nft,
      added.map(([address, mss]) => `${address} : ${mss}`),
    ),
  ]
}

function scaffold(nft: string): readonly string[] {
  const source = `${nft} saddr`
  return [
    `add table ${nft} ${TABLE}`,
    `add map ${nft} ${TABLE} ${MAP} { typeof ${source} : tcp option maxseg size; }`,
    `add chain ${nft} ${TABLE} ${CHAIN} { type filter hook output priority mangle; policy accept; }`,
    `flush chain ${nft} ${TABLE} ${CHAIN}`,
    `add rule ${nft} ${TABLE} ${CHAIN} tcp flags syn tcp option maxseg size set ${source} map @${MAP}`,
  ]
}

function elementLine(verb: string, nft: string, elements: readonly string[]): readonly string[] {
  if (elements.length === 0) return []
  return [`${verb} element ${nft} ${TABLE} ${MAP} { ${elements.join(', ')} }`]
}

function ofFamily(table: ClampTable, family: Family): readonly (readonly [Ip, number])[] {
  return [...table].filter(([address]) => familyOf(address) === family)
}

function parseElement(element: unknown): ClampState {
  const [key, mss]: readonly unknown[] = Array.isArray(element) ? element : []
  const address = typeof key === 'string' ? parseIp(key) : undefined
  if (address === undefined || typeof mss !== 'number') {
    throw unreadable(`element ${JSON.stringify(element)}`)
  }
  return { address, mss }
}

export function objectsOf(json: string): readonly Readonly<Record<string, unknown>>[] {
  const document: unknown = parseJson(json)
  const list = isRecord(document) ? document['nftables'] : undefined
  if (!Array.isArray(list)) throw unreadable('no nftables list')
  return list.filter(isRecord)
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (error) {
    throw unreadable(error instanceof Error ? error.message : 'no JSON')
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unreadable(detail: string): KernelError {
  return new KernelError('read clamps', 'EBADMSG', `nft printed something else: ${detail}`)
}
