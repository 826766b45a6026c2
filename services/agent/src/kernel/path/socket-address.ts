/** sockaddr_in and sockaddr_in6 as bind(2) takes them (ip(7), ipv6(7)): family in host order, port in network order. */
import { familyOf, ipToBytes, type Family, type Ip } from '@lvs-fleet/contract'

/** include/linux/socket.h. */
export const ADDRESS_FAMILY: Readonly<Record<Family, number>> = { ipv4: 2, ipv6: 10 }

/** struct sockaddr_in: family, port, address, padding; struct sockaddr_in6: family, port, flow, address, scope. */
const LAYOUT = { ipv4: { length: 16, address: 4 }, ipv6: { length: 28, address: 8 } } as const

export function encodeSocketAddress(address: Ip, port: number): Uint8Array {
  const family = familyOf(address)
  const bytes = new Uint8Array(LAYOUT[family].length)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, ADDRESS_FAMILY[family], true)
  view.setUint16(2, port)
  bytes.set(ipToBytes(address), LAYOUT[family].address)
  return bytes
}
