/**
 * Offloads of interfaces that are switched on, by the names that `ethtool -k` has for them: generic netlink family
 * `ethtool`. Kernels have it since 5.6; of older ones nothing is known.
 */
import { AttributeTable, nested, text, u32, type Codec } from '../netlink/attributes.ts'
import {
  NETLINK_GENERIC,
  NLA_HEADER_BYTES,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  align4,
} from '../netlink/constants.ts'
import { beginGeneric, GENL_HEADER_BYTES, resolveFamily } from '../netlink/generic.ts'
import type { NetlinkMessage } from '../netlink/message.ts'
import { NetlinkSocket } from '../netlink/socket.ts'

/** include/uapi/linux/ethtool_netlink.h (Linux 6.1). */
const ETHTOOL_MSG_FEATURES_GET = 11
const ETHTOOL_GENL_VERSION = 1

const BIT = new AttributeTable({ name: { number: 2, codec: text } })

/** ETHTOOL_A_BITSET_BITS: one attribute for each bit that is set, all of one number. */
const bitNames: Codec<readonly string[]> = {
  nested: true,
  write: () => {
    throw new Error('features are only read')
  },
  read: (bytes, start, end) => {
    const names: string[] = []
    for (let at = start; at < end;) {
      const length = Math.max(bytes.readUInt16LE(at), NLA_HEADER_BYTES)
      const { name } = BIT.decode(bytes, at + NLA_HEADER_BYTES, Math.min(at + length, end))
      if (name !== undefined) names.push(name)
      at += align4(length)
    }
    return names
  },
}

const DEVICE = new AttributeTable({ index: { number: 1, codec: u32 } })
const BITSET = new AttributeTable({ bits: { number: 3, codec: bitNames } })
const FEATURES = new AttributeTable({
  device: { number: 1, codec: nested(DEVICE) },
  active: { number: 4, codec: nested(BITSET) },
})

/** By index of the interface; null where the kernel cannot be asked. */
export async function readOffloads(): Promise<ReadonlyMap<number, ReadonlySet<string>> | null> {
  const socket = new NetlinkSocket({ protocol: NETLINK_GENERIC })
  try {
    const { items } = await resolveFamily(socket, 'ethtool')
    const [family] = items
    if (family === undefined) return null
    const all = await socket.dump(
      'list offloads',
      (writer) => {
        const flags = NLM_F_REQUEST | NLM_F_DUMP
        const command = ETHTOOL_MSG_FEATURES_GET
        beginGeneric(writer, { family, flags, command, version: ETHTOOL_GENL_VERSION })
        // A header is wanted even where it names no device (ethnl_parse_header_dev_get: EINVAL).
        FEATURES.encode(writer, { device: {} })
        writer.end()
      },
      decodeFeatures,
    )
    return new Map(all)
  } finally {
    socket.close()
  }
}

/** For `readOffloads`, and for the test that knows the bytes. */
export function decodeFeatures({
  bytes,
  start,
  end,
}: NetlinkMessage): [number, ReadonlySet<string>] {
  const { device, active } = FEATURES.decode(bytes, start + GENL_HEADER_BYTES, end)
  return [device?.index ?? 0, new Set(active?.bits)]
}
