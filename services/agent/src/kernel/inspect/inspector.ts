/**
 * What the doctor asks the kernel beyond the ordinary port: which way a packet would go (RTM_GETROUTE, as
 * `ip route get`), and who answers ARP and NDP in the neighbourhood. Changes nothing but, for a second, entries of
 * the neighbour table that nothing uses.
 */
import { bytesToIp, familyOf, hostPrefixLength, ipToBytes, type Ip } from '@lvs-fleet/contract'
import { AttributeTable, binary, nested, u32 } from '../netlink/attributes.ts'
import { NETLINK_ROUTE, NLM_F_REQUEST } from '../netlink/constants.ts'
import { malformed, type NetlinkMessage } from '../netlink/message.ts'
import type { MessageWriter } from '../netlink/message-writer.ts'
import { NetlinkSocket } from '../netlink/socket.ts'
import { AF_INET, AF_INET6 } from '../rtnl/constants.ts'
import { readOffloads } from './offloads.ts'
import { listNeighbours, whoElseHas, type Neighbour, type NeighbourRef } from './neighbours.ts'

/** How a packet of this host to one address would leave; `failure` where there is no way. */
export type RouteAnswer =
  | {
      readonly ok: true
      /** The address is this host's own. */
      readonly isLocal: boolean
      readonly gateway: Ip | null
      readonly linkIndex: number
      readonly source: Ip | null
      /** Of the route itself; null where the interface's counts. */
      readonly mtu: number | null
    }
  | { readonly ok: false; readonly code: string; readonly message: string }

export type Inspector = {
  /** One answer per address, same order. */
  routesTo(addresses: readonly Ip[]): Promise<RouteAnswer[]>
  neighbours(): Promise<readonly Neighbour[]>
  /** Asks by ARP for IPv4 addresses that this host holds itself: the MAC address of another one that answers. */
  whoElseHas(asked: readonly NeighbourRef[]): Promise<ReadonlyMap<Ip, string>>
  /** Names of the offloads that are on, by index of the interface; null where the kernel has no such answer. */
  offloads(): Promise<ReadonlyMap<number, ReadonlySet<string>> | null>
  close(): void
}

/** include/uapi/linux/rtnetlink.h (Linux 6.1). */
const RTM_GETROUTE = 26
const RTN_LOCAL = 2
const ROUTE_HEADER_BYTES = 12

const METRICS = new AttributeTable({ mtu: { number: 2, codec: u32 } })
const ROUTE = new AttributeTable({
  destination: { number: 1, codec: binary },
  outputLink: { number: 4, codec: u32 },
  gateway: { number: 5, codec: binary },
  preferredSource: { number: 7, codec: binary },
  metrics: { number: 8, codec: nested(METRICS) },
})

export function openInspector(): Inspector {
  const socket = new NetlinkSocket({ protocol: NETLINK_ROUTE })
  return {
    async routesTo(addresses) {
      const answers: RouteAnswer[] = []
      for (const address of addresses) answers.push(await askRoute(socket, address))
      return answers
    },
    neighbours: () => listNeighbours(socket),
    whoElseHas: (asked) => whoElseHas(socket, asked),
    offloads: readOffloads,
    close: () => socket.close(),
  }
}

async function askRoute(socket: NetlinkSocket, address: Ip): Promise<RouteAnswer> {
  const { items, failure } = await socket.request(
    `find the route to ${address}`,
    (writer) => getRoute(writer, address),
    decodeRoute,
  )
  if (failure !== undefined) return { ok: false, ...failure }
  return items[0] ?? { ok: false, code: 'EBADMSG', message: 'the kernel gave no route' }
}

/** struct rtmsg: family, prefix lengths, tos, table, protocol, scope, type, flags. */
function getRoute(writer: MessageWriter, address: Ip): void {
  writer.begin(RTM_GETROUTE, NLM_F_REQUEST)
  writer.u8(familyOf(address) === 'ipv4' ? AF_INET : AF_INET6)
  writer.u8(hostPrefixLength(address))
  for (let i = 0; i < 6; i++) writer.u8(0)
  writer.u32(0)
  ROUTE.encode(writer, { destination: ipToBytes(address) })
  writer.end()
}

function decodeRoute({ bytes, start, end }: NetlinkMessage): RouteAnswer {
  if (end - start < ROUTE_HEADER_BYTES) throw malformed('a route header is cut')
  const values = ROUTE.decode(bytes, start + ROUTE_HEADER_BYTES, end)
  return {
    ok: true,
    isLocal: bytes.readUInt8(start + 7) === RTN_LOCAL,
    gateway: values.gateway === undefined ? null : bytesToIp(values.gateway),
    linkIndex: values.outputLink ?? 0,
    source: values.preferredSource === undefined ? null : bytesToIp(values.preferredSource),
    mtu: values.metrics?.mtu ?? null,
  }
}
