/**
 * IP addresses and CIDR networks as values: parse, canonical text, bytes, order, containment.
 * Takes text from operators and bytes from the kernel; gives one canonical spelling per address
 * (RFC 5952 for IPv6), so that text equality is address equality everywhere else.
 */

declare const ipBrand: unique symbol

/** One canonical IPv4 or IPv6 address, e.g. `10.0.0.1` or `fd00::1`. Made only by `parseIp` and `bytesToIp`. */
export type Ip = string & { readonly [ipBrand]: true }

export const FAMILIES = ['ipv4', 'ipv6'] as const
export type Family = (typeof FAMILIES)[number]

/** A network: canonical base address and prefix length (0-32 or 0-128); host bits are zero. */
export type Cidr = { readonly base: Ip; readonly prefixLength: number }

/** Parses one address; undefined when the text is no plain IPv4 or IPv6 address (no zone, no port). */
export function parseIp(text: string): Ip | undefined {
  const bytes = text.includes(':') ? parseIpv6(text) : parseIpv4(text)
  return bytes === undefined ? undefined : bytesToIp(bytes)
}

/** The address in `text`; throws when it is none: for constants and text that a schema has checked. */
export function ip(text: string): Ip {
  const parsed = parseIp(text)
  if (parsed === undefined) throw new Error(`not an IP address: ${text}`)
  return parsed
}

export function familyOf(address: Ip): Family {
  return address.includes(':') ? 'ipv6' : 'ipv4'
}

/** 32 for IPv4, 128 for IPv6: the prefix length of a single address. */
export function hostPrefixLength(address: Ip): 32 | 128 {
  return familyOf(address) === 'ipv4' ? 32 : 128
}

/** Compile and sorting ask for the same few addresses again and again; bounded, and emptied when full. */
const parsedBytes = new Map<Ip, Uint8Array>()
const PARSED_MAX = 16_384

/** The 4 or 16 bytes of an address, network order. Shared: not to be written to. */
export function ipToBytes(address: Ip): Uint8Array {
  const known = parsedBytes.get(address)
  if (known !== undefined) return known
  if (parsedBytes.size >= PARSED_MAX) parsedBytes.clear()
  const bytes = address.includes(':') ? parseIpv6(address) : parseIpv4(address)
  if (bytes === undefined) throw new Error(`not a canonical IP address: ${address}`)
  parsedBytes.set(address, bytes)
  return bytes
}

/** Canonical text of 4 or 16 bytes in network order. */
export function bytesToIp(bytes: Uint8Array): Ip {
  if (bytes.length === 4) return bytes.join('.') as Ip
  if (bytes.length !== 16) throw new Error(`an address has 4 or 16 bytes, not ${bytes.length}`)
  return formatIpv6(bytes) as Ip
}

/** Sort order: IPv4 before IPv6, then by value. */
export function compareIps(a: Ip, b: Ip): number {
  if (a === b) return 0
  const x = ipToBytes(a)
  const y = ipToBytes(b)
  if (x.length !== y.length) return x.length - y.length
  for (let i = 0; i < x.length; i++) {
    const difference = (x[i] ?? 0) - (y[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** Parses `base/length`; undefined when malformed or when host bits are set (as Postgres `cidr` refuses them). */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text)
  const base = match?.[1] === undefined ? undefined : parseIp(match[1])
  if (base === undefined) return undefined
  const prefixLength = Number(match?.[2])
  if (prefixLength > hostPrefixLength(base)) return undefined
  const bytes = ipToBytes(base)
  for (let bit = prefixLength; bit < bytes.length * 8; bit++) {
    if (bitAt(bytes, bit) === 1) return undefined
  }
  return { base, prefixLength }
}

export function formatCidr(cidr: Cidr): string {
  return `${cidr.base}/${cidr.prefixLength}`
}

/** The network of `prefixLength` leading bits that an address is in. */
export function networkOf(address: Ip, prefixLength: number): Cidr {
  const bytes = ipToBytes(address).map((byte, i) => {
    const kept = Math.min(8, Math.max(0, prefixLength - i * 8))
    return byte & (0xff << (8 - kept))
  })
  return { base: bytesToIp(bytes), prefixLength }
}

export function cidrContains(cidr: Cidr, address: Ip): boolean {
  const base = ipToBytes(cidr.base)
  const bytes = ipToBytes(address)
  if (base.length !== bytes.length) return false
  for (let bit = 0; bit < cidr.prefixLength; bit++) {
    if (bitAt(base, bit) !== bitAt(bytes, bit)) return false
  }
  return true
}

function bitAt(bytes: Uint8Array, bit: number): number {
  return ((bytes[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1
}

const ZERO = 0x30
const DOT = 0x2e

/** By hand, without a garbage of parts: a large state has tens of thousands of them. */
function parseIpv4(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4)
  let part = 0
  let value = 0
  let digits = 0
  for (let i = 0; i <= text.length; i++) {
    const code = i === text.length ? DOT : text.charCodeAt(i)
    if (code === DOT) {
      if (digits === 0 || value > 255 || part > 3) return undefined
      bytes[part++] = value
      value = 0
      digits = 0
      continue
    }
    const digit = code - ZERO
    // A leading zero is refused: some readers take it as octal, so it is ambiguous.
    if (digit < 0 || digit > 9 || (digits > 0 && value === 0) || ++digits > 3) return undefined
    value = value * 10 + digit
  }
  return part === 4 ? bytes : undefined
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = parseGroups(halves[0] ?? '', halves.length === 1)
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '', true) : []
  if (head === undefined || tail === undefined) return undefined
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  const zeros = Array.from({ length: halves.length === 2 ? missing : 0 }, () => 0)
  const groups = [...head, ...zeros, ...tail]
  const bytes = new Uint8Array(16)
  for (const [i, group] of groups.entries()) {
    bytes[i * 2] = group >> 8
    bytes[i * 2 + 1] = group & 0xff
  }
  return bytes
}

/** 16-bit groups of one side of `::`; only the last group of the whole text may be dotted IPv4. */
function parseGroups(text: string, isLastPart: boolean): number[] | undefined {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (isLastPart && i === parts.length - 1 && part.includes('.')) {
      const v4 = parseIpv4(part)
      if (v4 === undefined) return undefined
      groups.push(((v4[0] ?? 0) << 8) | (v4[1] ?? 0), ((v4[2] ?? 0) << 8) | (v4[3] ?? 0))
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16))
    } else {
      return undefined
    }
  }
  return groups
}

/** RFC 5952: lower case, no leading zeros, `::` for the first longest run of two or more zero groups. */
function formatIpv6(bytes: Uint8Array): string {
  const groups: number[] = []
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0))
  let start = -1
  let length = 1
  for (let i = 0; i < 8; i++) {
    let run = 0
    while (i + run < 8 && groups[i + run] === 0) run++
    if (run > length) {
      start = i
      length = run
    }
  }
  const hex = groups.map((group) => group.toString(16))
  if (start === -1) return hex.join(':')
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`
}
