/**
 * A netlink socket whose kernel takes everything: it names the family, acks each last message, and has nothing in its
 * dumps. What is measured on it is the agent with its encoder, and no kernel.
 */
import {
  align4,
  NLM_F_DUMP,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_HEADER_BYTES,
} from '../../services/agent/src/kernel/netlink/constants.ts'
import type {
  DatagramHandlers,
  DatagramSocket,
} from '../../services/agent/src/kernel/netlink/raw-socket.ts'

/** include/uapi/linux/genetlink.h, netlink.h: what only the kernel's side of a conversation needs. */
const GENL_ID_CTRL = 16
const NLM_F_MULTI = 2
const FAMILY_ID = 28

export function openAckSocket(handlers: DatagramHandlers): DatagramSocket {
  return {
    port: 1,
    send: (bytes, done) => {
      const request = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      const answer = answerTo(request)
      setImmediate(() => {
        done(undefined)
        handlers.message(answer)
      })
    },
    close: () => {},
  }
}

/** To the last message of a datagram, which alone asks for an answer. */
function answerTo(request: Buffer): Buffer {
  let last = 0
  for (let at = 0; at < request.length; at += align4(request.readUInt32LE(at))) last = at
  const type = request.readUInt16LE(last + 4)
  const flags = request.readUInt16LE(last + 6)
  const sequence = request.readUInt32LE(last + 8)
  if (flags & NLM_F_DUMP) return message(NLMSG_DONE, NLM_F_MULTI, sequence, Buffer.alloc(4))
  // struct nlmsgerr: no error, and the header that it answers.
  const ack = message(NLMSG_ERROR, 0, sequence, Buffer.alloc(4 + NLMSG_HEADER_BYTES))
  return type === GENL_ID_CTRL ? Buffer.concat([family(sequence), ack]) : ack
}

/** CTRL_ATTR_FAMILY_ID (1), u16, behind a genlmsghdr. */
function family(sequence: number): Buffer {
  const payload = Buffer.alloc(12)
  payload.writeUInt16LE(6, 4)
  payload.writeUInt16LE(1, 6)
  payload.writeUInt16LE(FAMILY_ID, 8)
  return message(GENL_ID_CTRL, 0, sequence, payload)
}

function message(type: number, flags: number, sequence: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(NLMSG_HEADER_BYTES)
  header.writeUInt32LE(NLMSG_HEADER_BYTES + payload.length, 0)
  header.writeUInt16LE(type, 4)
  header.writeUInt16LE(flags, 6)
  header.writeUInt32LE(sequence, 8)
  return Buffer.concat([header, payload])
}
