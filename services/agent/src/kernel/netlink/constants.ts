/** Numbers of the netlink protocol itself, from include/uapi/linux/netlink.h (Linux 6.1). */

/** Protocols of socket(AF_NETLINK, …). */
export const NETLINK_ROUTE = 0
export const NETLINK_GENERIC = 16

export const NLMSG_HEADER_BYTES = 16
export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3

export const NLM_F_REQUEST = 0x1
export const NLM_F_ACK = 0x4
/** The object list changed while it was dumped: entries may be missing or doubled. */
export const NLM_F_DUMP_INTR = 0x10
export const NLM_F_DUMP = 0x300
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
/** Flags of an answer: the echoed request is cut to its header; attributes follow it. */
export const NLM_F_CAPPED = 0x100
export const NLM_F_ACK_TLVS = 0x200

export const NLMSGERR_ATTR_MSG = 1

export const NLA_HEADER_BYTES = 4
export const NLA_F_NESTED = 0x8000
/** Without NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
export const NLA_TYPE_MASK = 0x3fff

/** Socket options: SOL_NETLINK, and SO_RCVBUFFORCE of include/uapi/asm-generic/socket.h. */
export const SOL_NETLINK = 270
export const NETLINK_NO_ENOBUFS = 5
export const NETLINK_CAP_ACK = 10
export const NETLINK_EXT_ACK = 11
export const NETLINK_GET_STRICT_CHK = 12
export const SOL_SOCKET = 1
export const SO_RCVBUFFORCE = 33

/** Messages are aligned to 4 bytes, and so are attributes. */
export function align4(length: number): number {
  return (length + 3) & ~3
}
