/**
 * Generic netlink: families get their number when they are loaded, so it is asked for by name.
 * Asking loads the module where it says that it provides the family (ip_vs does: its alias is
 * net-pf-16-proto-16-family-IPVS), from net/netlink/genetlink.c, ctrl_getfamily.
 */
import { AttributeTable, required, text, u16 } from './attributes.ts'
import { NLM_F_REQUEST } from './constants.ts'
import type { Answer } from './exchange.ts'
import type { MessageWriter } from './message-writer.ts'
import type { NetlinkSocket } from './socket.ts'

/** struct genlmsghdr: command, version, reserved. */
export const GENL_HEADER_BYTES = 4
/** include/uapi/linux/genetlink.h. */
const GENL_ID_CTRL = 16
const CTRL_CMD_GETFAMILY = 3
const CTRL_VERSION = 2

const FAMILY = new AttributeTable({
  id: { number: 1, codec: u16 },
  name: { number: 2, codec: text },
})

export type GenericHeader = {
  readonly family: number
  readonly flags: number
  readonly command: number
  readonly version: number
}

/** Starts a generic netlink message; `writer.end()` ends it. */
export function beginGeneric(writer: MessageWriter, header: GenericHeader): void {
  writer.begin(header.family, header.flags)
  writer.u8(header.command)
  writer.u8(header.version)
  writer.u16(0)
}

/** The number of a family: one item, or a failure (ENOENT: nothing provides it). */
export function resolveFamily(socket: NetlinkSocket, name: string): Promise<Answer<number>> {
  return socket.request(
    `find generic netlink family ${name}`,
    (writer) => {
      beginGeneric(writer, {
        family: GENL_ID_CTRL,
        flags: NLM_F_REQUEST,
        command: CTRL_CMD_GETFAMILY,
        version: CTRL_VERSION,
      })
      FAMILY.encode(writer, { name })
      writer.end()
    },
    ({ bytes, start, end }) =>
      required(FAMILY.decode(bytes, start + GENL_HEADER_BYTES, end).id, 'the family number'),
  )
}
