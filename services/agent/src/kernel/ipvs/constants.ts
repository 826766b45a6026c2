/** Numbers and attribute tables of IPVS, from include/uapi/linux/ip_vs.h (Linux 6.1). */
import {
  AttributeTable,
  be16,
  binary,
  nested,
  s32,
  text,
  u16,
  u32,
  u64,
  u8,
  type AttributeValues,
} from '../netlink/attributes.ts'

export const IPVS_GENL_NAME = 'IPVS'
export const IPVS_GENL_VERSION = 1

export const IPVS_CMD_NEW_SERVICE = 1
export const IPVS_CMD_SET_SERVICE = 2
export const IPVS_CMD_DEL_SERVICE = 3
export const IPVS_CMD_GET_SERVICE = 4
export const IPVS_CMD_NEW_DEST = 5
export const IPVS_CMD_SET_DEST = 6
export const IPVS_CMD_DEL_DEST = 7
export const IPVS_CMD_GET_DEST = 8

export const IP_VS_SVC_F_PERSISTENT = 0x1
/** The kernel's own mark: entry is in the hash table. */
export const IP_VS_SVC_F_HASHED = 0x2
export const IP_VS_SVC_F_ONEPACKET = 0x4
export const IP_VS_SVC_F_SCHED1 = 0x8
export const IP_VS_SVC_F_SCHED2 = 0x10

export const IP_VS_CONN_F_FWD_MASK = 0x7
export const IP_VS_CONN_F_MASQ = 0
export const IP_VS_CONN_F_LOCALNODE = 1
export const IP_VS_CONN_F_TUNNEL = 2
export const IP_VS_CONN_F_DROUTE = 3
export const IP_VS_CONN_F_TUNNEL_TYPE_IPIP = 0

export const AF_INET = 2
export const AF_INET6 = 10
export const IPPROTO_TCP = 6
export const IPPROTO_UDP = 17

/** struct ip_vs_flags: all bits are ours to write. */
export const FLAGS_MASK = 0xffff_ffff

const flags = {
  write: (writer: Parameters<typeof u32.write>[0], value: number) => {
    writer.u32(value)
    writer.u32(FLAGS_MASK)
  },
  read: (bytes: Buffer, start: number, end: number) => u32.read(bytes, start, end - 4),
}

/** IPVS_STATS_ATTR_*; the rates (6-10) are left out. */
export const STATS64 = new AttributeTable({
  connections: { number: 1, codec: u64 },
  inPackets: { number: 2, codec: u64 },
  outPackets: { number: 3, codec: u64 },
  inBytes: { number: 4, codec: u64 },
  outBytes: { number: 5, codec: u64 },
})

/** IPVS_SVC_ATTR_*. */
export const SERVICE = new AttributeTable({
  family: { number: 1, codec: u16 },
  protocol: { number: 2, codec: u16 },
  /** 16 bytes when the kernel sends it, IPv4 in the first 4. */
  address: { number: 3, codec: binary },
  port: { number: 4, codec: be16 },
  firewallMark: { number: 5, codec: u32 },
  scheduler: { number: 6, codec: text },
  flags: { number: 7, codec: flags },
  timeoutSeconds: { number: 8, codec: u32 },
  /** IPv4: the bytes of a mask. IPv6: a prefix length, u32. */
  netmask: { number: 9, codec: binary },
  persistenceEngine: { number: 11, codec: text },
  stats: { number: 12, codec: nested(STATS64) },
})

/** IPVS_DEST_ATTR_*: where a destination is. With the family it is its key. */
const destinationEnd = {
  address: { number: 1, codec: binary },
  port: { number: 2, codec: be16 },
} as const

/** What a run of destinations mostly has in common. */
const destinationSettings = {
  forwarding: { number: 3, codec: u32 },
  weight: { number: 4, codec: s32 },
  upperThreshold: { number: 5, codec: u32 },
  lowerThreshold: { number: 6, codec: u32 },
  family: { number: 11, codec: u16 },
  tunnelType: { number: 13, codec: u8 },
  tunnelPort: { number: 14, codec: be16 },
  tunnelFlags: { number: 15, codec: u16 },
} as const

export const DESTINATION_END = new AttributeTable(destinationEnd)
export const DESTINATION_SETTINGS = new AttributeTable(destinationSettings)
export const DESTINATION = new AttributeTable({
  ...destinationEnd,
  ...destinationSettings,
  activeConnections: { number: 7, codec: u32 },
  inactiveConnections: { number: 8, codec: u32 },
  persistentConnections: { number: 9, codec: u32 },
  stats: { number: 12, codec: nested(STATS64) },
})

export const IPVS_CMD_ATTR_DEST = 2

/** IPVS_CMD_ATTR_*: what stands at the top of each message. */
export const COMMAND = new AttributeTable({
  service: { number: 1, codec: nested(SERVICE) },
  destination: { number: IPVS_CMD_ATTR_DEST, codec: nested(DESTINATION) },
})

type ValuesOf<T> = T extends AttributeTable<infer F> ? AttributeValues<F> : never
export type ServiceAttributes = ValuesOf<typeof SERVICE>
export type DestinationAttributes = ValuesOf<typeof DESTINATION>
export type StatsAttributes = ValuesOf<typeof STATS64>
