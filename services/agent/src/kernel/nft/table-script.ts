/**
 * The agent's nftables as text: what nft must read to get from one content to another, and what it prints.
 * Tables of `ip` and `ip6`, not `inet`, which not every kernel has. MSS clamps and marks share one shape: a
 * map from what a packet is to a number, and one rule that looks it up, so that one clamp or one port range
 * is one element. A packet that is not in the map is left alone.
 */
import {
  familyOf,
  parseIp,
  PROTOCOLS,
  type ClampState,
  type Family,
  type MarkState,
} from '@lvs-fleet/contract'
import { KernelError } from '../kernel.ts'

export const TABLE = 'lvsfleet'
const FAMILIES = ['ipv4', 'ipv6'] as const
const NFT_FAMILY: Readonly<Record<Family, 'ip' | 'ip6'>> = { ipv4: 'ip', ipv6: 'ip6' }
type NftFamily = (typeof NFT_FAMILY)[Family]

const MAP_NAMES = ['mss', 'marks'] as const
type MapName = (typeof MAP_NAMES)[number]

type MapShape = {
  readonly chain: string
  readonly hook: string
  readonly type: (nft: NftFamily) => string
  readonly rule: (nft: NftFamily) => string
}

const SHAPES: Readonly<Record<MapName, MapShape>> = {
  // The kernel only ever lowers an MSS (nft_exthdr_tcp_set_eval). The output hook sees what this host
  // answers itself: SYN-ACKs whose source is a VIP.
  mss: {
    chain: 'clamp',
    hook: 'output',
    type: (nft) => `typeof ${nft} saddr : tcp option maxseg size;`,
    rule: (nft) => `tcp flags syn tcp option maxseg size set ${nft} saddr map @mss`,
  },
  // Before routing, and so before IPVS, which sees packets for this host on their way in (ip_vs_remote_request4).
  marks: {
    chain: 'marking',
    hook: 'prerouting',
    type: (nft) =>
      `type ${nft === 'ip' ? 'ipv4_addr' : 'ipv6_addr'} . inet_proto . inet_service : mark; flags interval;`,
    // The protocol from the header, not `meta l4proto`: nft before 1.1 turns the bytes of that one round where the map has
    // ranges, and Debian 13's kernel (6.12) refuses to turn a single byte. IPVS has IPv6 fragments put
    // together before this hook; what has other extension headers keeps no mark.
    rule: (nft) =>
      `meta mark set ${nft} daddr . ${nft === 'ip' ? 'ip protocol' : 'ip6 nexthdr'} . th dport map @marks`,
  },
}

/** One element of one map; `key` as nft writes it. */
type Element = {
  readonly map: MapName
  readonly family: Family
  readonly key: string
  readonly value: number
}

/**
 * An element that no rule looks up, because somebody took the rule away, has the value 0: it stands and must go
 * one day, but is what nobody wants.
 */
export type TableContent = {
  readonly clamps: readonly ClampState[]
  readonly marks: readonly MarkState[]
}

/** One transaction, for `nft -f -`; empty when nothing differs. */
export function tableScript(from: TableContent, to: TableContent): string {
  const old = elementsOf(from)
  const wanted = elementsOf(to)
  return FAMILIES.flatMap((family) => familyScript(family, { old, wanted })).join('\n')
}

/** Arguments that print the table of one family as JSON. */
export function listArguments(family: Family): readonly string[] {
  return ['-j', 'list', 'table', NFT_FAMILY[family], TABLE]
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

/** The content of `nft -j list table` of one family. */
export function parseTable(json: string): TableContent {
  const objects = objectsOf(json)
  const clamps: ClampState[] = []
  const marks: MarkState[] = []
  for (const { map } of objects) {
    const name = MAP_NAMES.find((known) => isRecord(map) && map['name'] === known)
    if (name === undefined || !isRecord(map)) continue
    const list = Array.isArray(map['elem']) ? map['elem'] : []
    const isVoid = !isLookedUp(name, objects)
    if (name === 'mss') {
      clamps.push(...list.map(parseClamp).map((clamp) => (isVoid ? { ...clamp, mss: 0 } : clamp)))
    } else {
      marks.push(...list.map(parseMark).map((mark) => (isVoid ? { ...mark, mark: 0 } : mark)))
    }
  }
  return { clamps, marks }
}

type Change = {
  readonly old: ReadonlyMap<string, Element>
  readonly wanted: ReadonlyMap<string, Element>
}

function familyScript(family: Family, change: Change): readonly string[] {
  const nft = NFT_FAMILY[family]
  const scripts = MAP_NAMES.map((map) => mapScript(map, family, change))
  if (scripts.every((lines) => lines.length === 0)) return []
  // `add` of what exists does nothing, so that both ways work on any start.
  const add = `add table ${nft} ${TABLE}`
  const remains = [...change.wanted.values()].some((element) => element.family === family)
  return remains ? [add, ...scripts.flat()] : [add, `delete table ${nft} ${TABLE}`]
}

function mapScript(map: MapName, family: Family, change: Change): readonly string[] {
  const of = (elements: ReadonlyMap<string, Element>): Element[] =>
    [...elements.values()].filter((element) => element.map === map && element.family === family)
  const old = of(change.old)
  const wanted = of(change.wanted)
  const isSame = (other: ReadonlyMap<string, Element>) => (element: Element) =>
    other.get(elementId(element))?.value === element.value
  const gone = old.filter((element) => !isSame(change.wanted)(element))
  const added = wanted.filter((element) => !isSame(change.old)(element))
  if (gone.length === 0 && added.length === 0) return []
  const nft = NFT_FAMILY[family]
  if (wanted.length === 0) return removeMap(map, nft)
  return [
    ...scaffold(map, nft),
    ...elementLine(
      `delete element ${nft} ${TABLE} ${map}`,
      gone.map(({ key }) => key),
    ),
    ...elementLine(
      `add element ${nft} ${TABLE} ${map}`,
      added.map(({ key, value }) => `${key} : ${value}`),
    ),
  ]
}

function scaffold(map: MapName, nft: NftFamily): readonly string[] {
  const { chain, hook, type, rule } = SHAPES[map]
  return [
    `add map ${nft} ${TABLE} ${map} { ${type(nft)} }`,
    `add chain ${nft} ${TABLE} ${chain} { type filter hook ${hook} priority mangle; policy accept; }`,
    `flush chain ${nft} ${TABLE} ${chain}`,
    `add rule ${nft} ${TABLE} ${chain} ${rule(nft)}`,
  ]
}

/** Where the other map of the table stays. */
function removeMap(map: MapName, nft: NftFamily): readonly string[] {
  const { chain } = SHAPES[map]
  return [
    ...scaffold(map, nft),
    `flush chain ${nft} ${TABLE} ${chain}`,
    `delete chain ${nft} ${TABLE} ${chain}`,
    `delete map ${nft} ${TABLE} ${map}`,
  ]
}

function elementLine(start: string, elements: readonly string[]): readonly string[] {
  return elements.length === 0 ? [] : [`${start} { ${elements.join(', ')} }`]
}

function elementsOf({ clamps, marks }: TableContent): ReadonlyMap<string, Element> {
  const elements: Element[] = [
    ...clamps.map(({ address, mss }): Element => ({
      map: 'mss',
      family: familyOf(address),
      key: address,
      value: mss,
    })),
    ...marks.map((mark): Element => ({
      map: 'marks',
      family: familyOf(mark.address),
      key: `${mark.address} . ${mark.protocol} . ${portText(mark.ports)}`,
      value: mark.mark,
    })),
  ]
  return new Map(elements.map((element) => [elementId(element), element]))
}

function elementId({ map, key }: Element): string {
  return `${map} ${key}`
}

function portText({ from, to }: MarkState['ports']): string {
  return from === to ? `${from}` : `${from}-${to}`
}

/** A rule of its chain names the map. */
function isLookedUp(map: MapName, objects: readonly Readonly<Record<string, unknown>>[]): boolean {
  return objects.some(
    ({ rule }) =>
      isRecord(rule) &&
      rule['chain'] === SHAPES[map].chain &&
      JSON.stringify(rule['expr']).includes(`"@${map}"`),
  )
}

function parseClamp(element: unknown): ClampState {
  const [key, mss]: readonly unknown[] = Array.isArray(element) ? element : []
  const address = typeof key === 'string' ? parseIp(key) : undefined
  if (address === undefined || typeof mss !== 'number') throw unreadableElement(element)
  return { address, mss }
}

/** `[{"concat": ["10.1.0.100", "tcp", {"range": [80, 89]}]}, 7]`, or the port alone. */
function parseMark(element: unknown): MarkState {
  const [key, mark]: readonly unknown[] = Array.isArray(element) ? element : []
  const parts: unknown = isRecord(key) ? key['concat'] : undefined
  const [host, protocolName, port]: readonly unknown[] = Array.isArray(parts) ? parts : []
  const address = typeof host === 'string' ? parseIp(host) : undefined
  const protocol = PROTOCOLS.find((known) => known === protocolName)
  const ports = parsePorts(port)
  if (!address || !protocol || !ports || typeof mark !== 'number') throw unreadableElement(element)
  return { protocol, address, ports, mark }
}

function parsePorts(port: unknown): MarkState['ports'] | undefined {
  const range: unknown = isRecord(port) ? port['range'] : [port, port]
  const [from, to]: readonly unknown[] = Array.isArray(range) ? range : []
  return typeof from === 'number' && typeof to === 'number' ? { from, to } : undefined
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

function unreadableElement(element: unknown): KernelError {
  return unreadable(`element ${JSON.stringify(element)}`)
}

function unreadable(detail: string): KernelError {
  return new KernelError('read nftables', 'EBADMSG', `nft printed something else: ${detail}`)
}
