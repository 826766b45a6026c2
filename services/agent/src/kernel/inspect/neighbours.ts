/**
 * The neighbour table: who answered ARP and NDP, and whether another host answers ARP for an address of our own.
 * For that the kernel is told to use a neighbour that it never would (NTF_USE), which makes it ask; a raw socket,
 * and with it CAP_NET_RAW, is not needed. IPv4 only: of an own IPv6 address the kernel takes no answer (ndisc_recv_na).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { bytesToIp, ipToBytes, type Ip } from '@lvs-fleet/contract'
import { AttributeTable, binary } from '../netlink/attributes.ts'
import { NLM_F_CREATE, NLM_F_DUMP, NLM_F_REQUEST } from '../netlink/constants.ts'
import { malformed, type NetlinkMessage } from '../netlink/message.ts'
import type { MessageWriter } from '../netlink/message-writer.ts'
import type { NetlinkSocket } from '../netlink/socket.ts'
import { AF_INET, AF_INET6, AF_UNSPEC } from '../rtnl/constants.ts'

export type NeighbourRef = { readonly address: Ip; readonly linkIndex: number }
export type Neighbour = NeighbourRef & {
  /** Nobody answered ARP or NDP for it. */
  readonly failed: boolean
  /** Null while nobody answered. */
  readonly mac: string | null
}

/** include/uapi/linux/{rtnetlink,neighbour}.h (Linux 6.1). */
const RTM_NEWNEIGH = 28
const RTM_DELNEIGH = 29
const RTM_GETNEIGH = 30
const NUD_FAILED = 0x20
const NTF_USE = 0x01
const HEADER_BYTES = 12
const NEIGHBOUR = new AttributeTable({
  address: { number: 1, codec: binary },
  linkAddress: { number: 2, codec: binary },
})

/** As long as arping waits by default; on a link an answer takes less than a millisecond. */
const ANSWER_MS = 1_000

export async function listNeighbours(socket: NetlinkSocket): Promise<Neighbour[]> {
  const all = await socket.dump(
    'list neighbours',
    (writer) => {
      begin(writer, { type: RTM_GETNEIGH, flags: NLM_F_DUMP, family: AF_UNSPEC })
      writer.end()
    },
    decodeNeighbour,
  )
  return all.filter((neighbour) => neighbour !== undefined)
}

export async function whoElseHas(
  socket: NetlinkSocket,
  asked: readonly NeighbourRef[],
): Promise<ReadonlyMap<Ip, string>> {
  if (asked.length === 0) return new Map()
  const standing = new Set((await listNeighbours(socket)).map(keyOf))
  const made = asked.filter((one) => !standing.has(keyOf(one)))
  await send(socket, asked, { type: RTM_NEWNEIGH, flags: NLM_F_CREATE, neighbourFlags: NTF_USE })
  await sleep(ANSWER_MS)
  const wanted = new Set(asked.map(keyOf))
  const answered = new Map<Ip, string>()
  for (const neighbour of await listNeighbours(socket)) {
    if (neighbour.mac !== null && wanted.has(keyOf(neighbour))) {
      answered.set(neighbour.address, neighbour.mac)
    }
  }
  await send(socket, made, { type: RTM_DELNEIGH, flags: 0 })
  return answered
}

type Header = {
  readonly type: number
  readonly flags: number
  readonly family: number
  readonly linkIndex?: number
  readonly neighbourFlags?: number
}

async function send(
  socket: NetlinkSocket,
  neighbours: readonly NeighbourRef[],
  header: Omit<Header, 'family' | 'linkIndex'>,
): Promise<void> {
  await socket.batch('ask neighbours', neighbours.length, (writer, index) => {
    const neighbour = neighbours[index]
    if (neighbour === undefined) return
    const { address, linkIndex } = neighbour
    begin(writer, { ...header, linkIndex, family: AF_INET })
    NEIGHBOUR.encode(writer, { address: ipToBytes(address) })
    writer.end()
  })
}

/** struct ndmsg: family, padding, interface, state, flags, type. */
function begin(
  writer: MessageWriter,
  { type, flags, family, linkIndex = 0, neighbourFlags = 0 }: Header,
): void {
  writer.begin(type, NLM_F_REQUEST | flags)
  writer.u8(family)
  for (let i = 0; i < 3; i++) writer.u8(0)
  writer.s32(linkIndex)
  writer.u16(0)
  writer.u8(neighbourFlags)
  writer.u8(0)
}

/** Undefined for families other than IP, which a dump of all families contains. */
export function decodeNeighbour({ bytes, start, end }: NetlinkMessage): Neighbour | undefined {
  if (end - start < HEADER_BYTES) throw malformed('a neighbour header is cut')
  const family = bytes.readUInt8(start)
  if (family !== AF_INET && family !== AF_INET6) return undefined
  const { address, linkAddress } = NEIGHBOUR.decode(bytes, start + HEADER_BYTES, end)
  if (address === undefined) return undefined
  return {
    address: bytesToIp(address),
    linkIndex: bytes.readInt32LE(start + 4),
    failed: (bytes.readUInt16LE(start + 8) & NUD_FAILED) !== 0,
    mac: linkAddress === undefined ? null : macOf(linkAddress),
  }
}

function macOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':')
}

function keyOf({ address, linkIndex }: NeighbourRef): string {
  return `${address} ${linkIndex}`
}
