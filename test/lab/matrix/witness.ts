/**
 * What really arrived: nftables rules that count, on the host where a cell's packets end, those that have the
 * cell's own shape on the wire and its VIP inside. Takes cells; gives the rules, and reads their counters. Pure.
 *
 * Bits are counted from the header behind the outer IP header (@th): inner IPv4 has its destination at bit 128
 * (RFC 791), IPv6 at 192 (RFC 8200). GRE: 32 bits, 64 with a checksum, which the first of 16 flags announces (RFC 2784). UDP: 64
 * bits; GUE: 32, of which the last 16 are flags, and 64 more with remote checksum offload
 * (include/net/gue.h, GUE_FLAG_PRIV and GUE_PFLAG_REMCSUM).
 */
import type { Cell, Form, Short } from './cells.ts'

const IP_PROTOCOL = { v4: 4, v6: 41 } as const
const GUE = 'udp dport 6080'

/** What names the shape, and where the inner packet begins. */
const SHAPES: Partial<Readonly<Record<Form, readonly [match: string, innerAt: number]>>> = {
  gre: ['meta l4proto 47 @th,0,16 0x0000', 32],
  'gre csum': ['meta l4proto 47 @th,0,16 0x8000', 64],
  gue: [`${GUE} udp checksum 0 @th,80,16 0`, 96],
  'gue csum': [`${GUE} udp checksum != 0 @th,80,16 0`, 96],
  'gue remcsum': [`${GUE} @th,80,16 1`, 160],
}

/** A table that counts and lets pass; before anything that takes a tunnel off. */
export function witnessTable(
  cells: readonly Cell[],
  addressOf: (server: string) => string,
): string {
  const rules = cells.map((cell) => `${ruleOf(cell, addressOf)} counter name ${counterOf(cell)}`)
  return countingTable('matrix', 'prerouting', cells, rules)
}

function countingTable(
  table: string,
  hook: 'prerouting' | 'output',
  cells: readonly Cell[],
  rules: readonly string[],
): string {
  const counters = cells.map((cell) => `counter ${counterOf(cell)} {}`)
  const chain = `type filter hook ${hook} priority raw; policy accept;\n${rules.join('\n')}`
  return `table inet ${table} {\n${counters.join('\n')}\nchain counts {\n${chain}\n}\n}\n`
}

/** Names of nftables have no dashes. */
export function counterOf({ name }: Cell): string {
  return name.replaceAll('-', '_')
}

/** Counters alone: nftables 1.0.6 cannot print a rule with a single bit of GRE (assertion in payload.c). */
export const READ_WITNESS = ['nft', 'list', 'counters', 'table', 'inet', 'matrix'] as const
export const READ_TOO_BIG = ['nft', 'list', 'counters', 'table', 'inet', 'matrix_told'] as const

/**
 * What the director itself tells a client whose packet does not fit the tunnel: ICMP, with the packet to the VIP
 * inside, from bit 64 of it (RFC 792, RFC 4443). IPVS counts it as a packet that came back, since it belongs to a
 * connection (`ip_vs_out_icmp`, net/netfilter/ipvs/ip_vs_core.c). TCP is spared it by its MSS; SCTP has none.
 */
export function tooBigTable(cells: readonly Cell[]): string {
  const rules = cells.map((cell) => {
    const inner = cell.vipFamily === 'v4' ? '@th,192,32' : '@th,256,128'
    const type =
      cell.vipFamily === 'v4' ? 'icmp type destination-unreachable' : 'icmpv6 type packet-too-big'
    return `${type} ${inner} 0x${hexOf(cell.vip)} counter name ${counterOf(cell)}`
  })
  return countingTable('matrix_told', 'output', cells, rules)
}

/** Packets by counter. */
export function readWitness(listing: string): Map<string, number> {
  const counters = listing.matchAll(/counter (\w+) \{\s*packets (\d+)/g)
  return new Map([...counters].map(([, name = '', packets]) => [name, Number(packets)]))
}

function ruleOf(cell: Cell, addressOf: (server: string) => string): string {
  const { form, vip, vipFamily, serverFamily, server, protocol } = cell
  if (form === 'dr' || form === 'local') return `iifname eth0 ${plain(vipFamily)} daddr ${vip}`
  if (form === 'nat') {
    return `iifname eth0 ${plain(serverFamily)} daddr ${addressOf(server)} meta l4proto ${protocol}`
  }
  const [match, innerAt] = SHAPES[form] ?? [`meta l4proto ${IP_PROTOCOL[vipFamily]}`, 0]
  const [at, bits] = vipFamily === 'v4' ? [128, 32] : [192, 128]
  const outer = `iifname eth0 meta nfproto ip${serverFamily}`
  return `${outer} ${match} @th,${innerAt + at},${bits} 0x${hexOf(vip)}`
}

function plain(family: Short): string {
  return family === 'v4' ? 'ip' : 'ip6'
}

/** An address as one number; of IPv6 only the form `a::b:c` of this lab. */
function hexOf(address: string): string {
  if (!address.includes(':'))
    return address
      .split('.')
      .map((n) => hex(Number(n), 2))
      .join('')
  const [head = '', tail = ''] = address.split('::')
  const groups = (text: string) =>
    text
      .split(':')
      .map((group) => group.padStart(4, '0'))
      .join('')
  return groups(head) + groups(tail).padStart(32 - groups(head).length, '0')
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}
