/**
 * Where a webhook may go. The URL is looked at when it is written, the address when it is connected to, whatever the name
 * said before: nobody reaches link-local addresses and with them the credentials that clouds hand out there, and plain HTTP
 * stays on this machine unless an operator of the API allows it.
 */
import { BlockList, isIP } from 'node:net'

export type TargetRules = {
  /** Plain HTTP to any address, not to loopback alone. */
  readonly allowHttp: boolean
  /** Where what answers on this machine is no receiver: on Lambda it is the runtime's own API. */
  readonly refuseLoopback?: boolean
}

const NOT_HERE = 'is this machine: nothing is sent there'
const URL_MAX = 2_000

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** "This network", link-local, multicast and broadcast, and the addresses at which clouds answer their guests. */
const forbidden = new BlockList()
forbidden.addSubnet('0.0.0.0', 8, 'ipv4')
forbidden.addSubnet('169.254.0.0', 16, 'ipv4')
forbidden.addSubnet('224.0.0.0', 3, 'ipv4')
forbidden.addAddress('100.100.100.200', 'ipv4')
forbidden.addAddress('168.63.129.16', 'ipv4')
forbidden.addAddress('::', 'ipv6')
forbidden.addSubnet('fe80::', 10, 'ipv6')
forbidden.addSubnet('ff00::', 8, 'ipv6')
forbidden.addAddress('fd00:ec2::254', 'ipv6')
// 6to4 and the local NAT64 prefix carry IPv4 addresses in more ways than are looked at.
forbidden.addSubnet('2002::', 16, 'ipv6')
forbidden.addSubnet('64:ff9b:1::', 48, 'ipv6')

/** Why a URL is refused when it is written; undefined = it may stand. */
export function refuseUrl(text: string, rules: TargetRules): string | undefined {
  if (text.length > URL_MAX) return `is longer than ${URL_MAX} characters`
  if (!URL.canParse(text)) return 'is no URL'
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'must begin with https://'
  if (url.username !== '' || url.password !== '') {
    return 'must not carry credentials: the receiver knows us by the signature'
  }
  if (url.hash !== '') return 'must not have a fragment'
  const host = hostOf(url)
  if (isIP(host) !== 0) return refuseAddress(host, url.protocol, rules)
  const isLocal = host === 'localhost' || host.endsWith('.localhost')
  if (isLocal && rules.refuseLoopback === true) return NOT_HERE
  if (url.protocol === 'http:' && !isLocal && !rules.allowHttp) {
    return 'must begin with https://: plain http goes to this machine only'
  }
  return undefined
}

/** Why an address is not connected to; undefined = it may be. */
export function refuseAddress(
  address: string,
  protocol: string,
  rules: TargetRules,
): string | undefined {
  const family = isIP(address)
  if (family === 0) return `${address} is no address`
  const kind = family === 4 ? 'ipv4' : 'ipv6'
  const inside = embeddedIpv4(address)
  const isInsideForbidden = inside !== undefined && forbidden.check(inside, 'ipv4')
  if (isInsideForbidden || forbidden.check(address, kind)) {
    return `${address} is link-local, a metadata service, or nobody's address: nothing is sent there`
  }
  const isLoopback =
    loopback.check(address, kind) || (inside !== undefined && loopback.check(inside, 'ipv4'))
  if (isLoopback && rules.refuseLoopback === true) return NOT_HERE
  if (protocol === 'http:' && !rules.allowHttp && !loopback.check(address, kind)) {
    return `${address} is not this machine, and plain http goes to this machine only`
  }
  return undefined
}

/** The host of a URL as sockets know it: without brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1')
}

/** What `::ffff:a9fe:a9fe`, `::169.254.169.254` and, through NAT64, `64:ff9b::a9fe:a9fe` come to. */
function embeddedIpv4(address: string): string | undefined {
  if (isIP(address) !== 6) return undefined
  // URL spells every IPv6 address in one way.
  const text = new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname.slice(1, -1)
  const match = /^(?:::|::ffff:|64:ff9b::)([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(text)
  if (match === null) return undefined
  const bytes = match.slice(1).flatMap((part) => {
    const value = Number.parseInt(part, 16)
    return [value >> 8, value & 255]
  })
  return bytes.join('.')
}
