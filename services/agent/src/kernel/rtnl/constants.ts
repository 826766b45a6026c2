/**
 * Numbers and attribute tables of links and addresses, from include/uapi/linux/{rtnetlink,if_link,
 * if_addr,if_tunnel,ip6_tunnel,if}.h (Linux 6.1).
 */
import {
  AttributeTable,
  be16,
  binary,
  nested,
  text,
  u32,
  u8,
  type AttributeValues,
} from '../netlink/attributes.ts'

export const RTM_NEWLINK = 16
export const RTM_DELLINK = 17
export const RTM_GETLINK = 18
export const RTM_NEWADDR = 20
export const RTM_DELADDR = 21
export const RTM_GETADDR = 22

/** Multicast groups (not the old bit masks). */
export const RTNLGRP_LINK = 1
export const RTNLGRP_IPV4_IFADDR = 5
export const RTNLGRP_IPV6_IFADDR = 9

/** struct ifinfomsg and struct ifaddrmsg. */
export const LINK_HEADER_BYTES = 16
export const ADDRESS_HEADER_BYTES = 8

export const AF_UNSPEC = 0
export const AF_INET = 2
export const AF_INET6 = 10
export const IFF_UP = 0x1
/** Interface statistics are half of a link dump, and nobody reads them. */
export const RTEXT_FILTER_SKIP_STATS = 0x8

/** No duplicate address detection: the address may be used at once, and twice in the network. */
export const IFA_F_NODAD = 0x02
export const IFA_F_DEPRECATED = 0x20
export const LIFETIME_FOREVER = 0xffff_ffff
/** struct ifa_cacheinfo: preferred, valid (seconds), created, updated. */
export const CACHE_INFO_BYTES = 16

/** Any inner protocol (`mode any`): one ip6tnl device takes IPv4 and IPv6. */
export const TUNNEL_PROTOCOL_ANY = 0
export const IP6_TNL_F_IGN_ENCAP_LIMIT = 0x1

/** IFLA_IPTUN_*: the same numbers for ipip, sit and ip6tnl; flags have another width in ipip. */
export const TUNNEL = new AttributeTable({
  local: { number: 2, codec: binary },
  remote: { number: 3, codec: binary },
  ttl: { number: 4, codec: u8 },
  encapLimit: { number: 6, codec: u8 },
  ip6Flags: { number: 8, codec: binary },
  protocol: { number: 9, codec: u8 },
})

/** Of the flags of a GRE device: what comes in has a checksum, and must have one. */
export const GRE_CSUM = 0x8000

/** IFLA_GRE_*: the same numbers for gre and ip6gre, but another order than IFLA_IPTUN_*. */
export const GRE = new AttributeTable({
  inFlags: { number: 2, codec: be16 },
  local: { number: 6, codec: binary },
  remote: { number: 7, codec: binary },
  ttl: { number: 8, codec: u8 },
  encapLimit: { number: 11, codec: u8 },
  ip6Flags: { number: 13, codec: u32 },
})

/** IFLA_INFO_*; the data differs from kind to kind, so it is decoded once the kind is known. */
export const LINK_INFO = new AttributeTable({
  kind: { number: 1, codec: text },
  data: { number: 2, codec: { ...binary, nested: true } },
})

/** IFLA_*. */
export const LINK = new AttributeTable({
  name: { number: 3, codec: text },
  mtu: { number: 4, codec: u32 },
  info: { number: 18, codec: nested(LINK_INFO) },
  extendedMask: { number: 29, codec: u32 },
})

/** IFA_*. */
export const ADDRESS = new AttributeTable({
  /** The other end where the link is point to point, else the same as `local`. */
  address: { number: 1, codec: binary },
  local: { number: 2, codec: binary },
  cacheInfo: { number: 6, codec: binary },
  flags: { number: 8, codec: u32 },
})

type ValuesOf<T> = T extends AttributeTable<infer F> ? AttributeValues<F> : never
export type LinkInfoAttributes = ValuesOf<typeof LINK_INFO>
export type TunnelAttributes = ValuesOf<typeof TUNNEL>
export type GreAttributes = ValuesOf<typeof GRE>
