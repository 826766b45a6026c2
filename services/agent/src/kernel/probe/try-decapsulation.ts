/**
 * Tries the devices that decapsulate, and listeners for UDP encapsulation (GUE), in a scratch namespace.
 * Making a link loads its module by itself (rtnl-link-KIND); the fou family has no such alias, so it is
 * loaded by modprobe where that is allowed.
 */
import {
  ip,
  ipToBytes,
  type Capabilities,
  type Decapsulation,
  type Verdict,
} from '@lvs-fleet/contract'
import { AttributeTable, be16, binary, u8 } from '../netlink/attributes.ts'
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST } from '../netlink/constants.ts'
import { beginGeneric, resolveFamily } from '../netlink/generic.ts'
import { MessageWriter } from '../netlink/message-writer.ts'
import type { NetlinkSocket } from '../netlink/socket.ts'
import { AF_INET, AF_INET6, AF_UNSPEC, LINK, RTM_NEWLINK, TUNNEL } from '../rtnl/constants.ts'
import { runProgram } from '../run-program.ts'
import { verdictOf } from './verdict.ts'

/** IFLA_GRE_LOCAL and IFLA_GRE_REMOTE, include/uapi/linux/if_tunnel.h. */
const GRE = new AttributeTable({
  local: { number: 6, codec: binary },
  remote: { number: 7, codec: binary },
})
/** include/uapi/linux/fou.h. */
const FOU = new AttributeTable({
  port: { number: 1, codec: be16 },
  family: { number: 2, codec: u8 },
  type: { number: 4, codec: u8 },
})
const FOU_CMD_ADD = 1
const FOU_ENCAP_GUE = 2
const FOU_PORT = 6080

type Device = Exclude<Decapsulation, 'fou' | 'fou6'>
/** Documentation addresses, RFC 5737 and RFC 3849. */
const ENDS = {
  ipv4: { local: ipToBytes(ip('192.0.2.1')), remote: ipToBytes(ip('192.0.2.2')) },
  ipv6: { local: ipToBytes(ip('2001:db8::1')), remote: ipToBytes(ip('2001:db8::2')) },
}
const DEVICES: readonly (readonly [Device, typeof TUNNEL | typeof GRE, keyof typeof ENDS])[] = [
  ['ipip', TUNNEL, 'ipv4'],
  ['sit', TUNNEL, 'ipv4'],
  ['ip6tnl', TUNNEL, 'ipv6'],
  ['gre', GRE, 'ipv4'],
  ['ip6gre', GRE, 'ipv6'],
]

export async function tryDecapsulation(
  generic: NetlinkSocket,
  route: NetlinkSocket,
): Promise<Capabilities['decapsulation']> {
  const verdicts: Record<string, Verdict> = {}
  for (const [i, [kind, table, family]] of DEVICES.entries()) {
    const { failure } = await route.request(
      `try a device of kind ${kind}`,
      (writer) => makeDevice(writer, `lvsprobe${i}`, kind, [table, family]),
      () => undefined,
    )
    verdicts[kind] = verdictOf(failure, ['ENOTSUP', 'EAFNOSUPPORT'])
  }
  return { ...verdicts, ...(await tryListeners(generic)) }
}

/** RTM_NEWLINK with a kind and two ends; the header is struct ifinfomsg. */
function makeDevice(
  writer: MessageWriter,
  name: string,
  kind: Device,
  [table, family]: readonly [typeof TUNNEL | typeof GRE, keyof typeof ENDS],
): void {
  writer.begin(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL)
  writer.u8(AF_UNSPEC)
  writer.u8(0)
  writer.u16(0)
  writer.s32(0)
  writer.u32(0)
  writer.u32(0)
  const data = new MessageWriter(Buffer.alloc(128))
  table.encode(data, ENDS[family])
  LINK.encode(writer, { name, info: { kind, data: data.bytes.subarray(0, data.offset) } })
  writer.end()
}

async function tryListeners(generic: NetlinkSocket): Promise<Record<'fou' | 'fou6', Verdict>> {
  let found = await resolveFamily(generic, 'fou')
  if (found.items[0] === undefined) {
    if (!(await modprobe('-n', 'fou'))) return { fou: 'no', fou6: 'no' }
    if (!(await modprobe('fou'))) return { fou: 'unknown', fou6: 'unknown' }
    found = await resolveFamily(generic, 'fou')
  }
  const [id] = found.items
  if (id === undefined) return { fou: 'unknown', fou6: 'unknown' }
  const listen = async (family: number): Promise<Verdict> => {
    const { failure } = await generic.request(
      'try a GUE listener',
      (writer) => {
        beginGeneric(writer, { family: id, flags: NLM_F_REQUEST, command: FOU_CMD_ADD, version: 1 })
        FOU.encode(writer, { port: FOU_PORT, family, type: FOU_ENCAP_GUE })
        writer.end()
      },
      () => undefined,
    )
    return verdictOf(failure, ['EAFNOSUPPORT', 'EINVAL', 'EPROTONOSUPPORT'])
  }
  const fou = await listen(AF_INET)
  // A listener for IPv6 lives in fou.c too; the errors of its packets are handled in fou6.
  const fou6 = (await modprobe('-n', 'fou6')) ? await listen(AF_INET6) : 'no'
  return { fou, fou6 }
}

/** True when modprobe ended well; `-n` only looks whether there is such a module. */
async function modprobe(...args: readonly string[]): Promise<boolean> {
  const ended = await runProgram(['modprobe', '-q', ...args])
  return ended.is === 'ended' && ended.code === 0
}
