/** Numbers and attributes of encapsulation over UDP, from include/uapi/linux/fou.h (Linux 6.1). */
import {
  AttributeTable,
  be16,
  binary,
  s32,
  u8,
  type AttributeValues,
} from '../netlink/attributes.ts'

export const FOU_GENL_NAME = 'fou'
export const FOU_GENL_VERSION = 1

export const FOU_CMD_ADD = 1
export const FOU_CMD_DEL = 2
export const FOU_CMD_GET = 3

export const FOU_ENCAP_GUE = 2
export const AF_INET = 2
export const AF_INET6 = 10

/** FOU_ATTR_*. */
export const FOU = new AttributeTable({
  port: { number: 1, codec: be16 },
  family: { number: 2, codec: u8 },
  /** What is inside where the packet itself does not say it: not with GUE. */
  protocol: { number: 3, codec: u8 },
  type: { number: 4, codec: u8 },
  localV4: { number: 6, codec: binary },
  localV6: { number: 7, codec: binary },
  peerV4: { number: 8, codec: binary },
  peerV6: { number: 9, codec: binary },
  peerPort: { number: 10, codec: be16 },
  interfaceIndex: { number: 11, codec: s32 },
})

type ValuesOf<T> = T extends AttributeTable<infer F> ? AttributeValues<F> : never
export type FouAttributes = ValuesOf<typeof FOU>
