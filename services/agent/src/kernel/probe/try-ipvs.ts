/**
 * Tries IPVS in a scratch namespace: one virtual service per scheduler, one destination per tunnel type, one
 * sync daemon. A tunnel type is read back, because kernels before 5.2 do not know the attribute, skip it and
 * make an ipip destination (ip_vs_genl_parse_dest). Requests outside of the first user namespace were refused
 * with EPERM until GENL_UNS_ADMIN_PERM came to ip_vs_ctl.c: that is unknown, not no.
 */
import {
  ip,
  ipToBytes,
  PROBED_TUNNELS,
  SCHEDULERS,
  type Capabilities,
  type ProbedTunnel,
  type Verdict,
} from '@lvs-fleet/contract'
import { AttributeTable, nested, text, u16, u32, u8 } from '../netlink/attributes.ts'
import { NLM_F_DUMP, NLM_F_REQUEST } from '../netlink/constants.ts'
import { beginGeneric, GENL_HEADER_BYTES, resolveFamily } from '../netlink/generic.ts'
import type { NetlinkFailure } from '../netlink/message.ts'
import type { MessageWriter } from '../netlink/message-writer.ts'
import type { NetlinkSocket } from '../netlink/socket.ts'
import { addAddress } from '../rtnl/addresses.ts'
import { createDevice } from '../rtnl/links.ts'
import { RtnlKernel } from '../rtnl/rtnl-kernel.ts'
import {
  AF_INET,
  COMMAND,
  IP_VS_CONN_F_TUNNEL,
  IPPROTO_TCP,
  IPVS_CMD_GET_DEST,
  IPVS_CMD_NEW_DEST,
  IPVS_CMD_NEW_SERVICE,
  IPVS_GENL_NAME,
  IPVS_GENL_VERSION,
} from '../ipvs/constants.ts'
import { verdictOf } from './verdict.ts'

/** include/uapi/linux/ip_vs.h. */
const IPVS_CMD_NEW_DAEMON = 9
const IPVS_CMD_DEL_DAEMON = 10
const IPVS_CMD_GET_INFO = 15
const IP_VS_STATE_MASTER = 1
const TUNNEL_TYPES: Readonly<Record<ProbedTunnel, number>> = { ipip: 0, gue: 1, gre: 2 }

/** IPVS_INFO_ATTR_*. */
const INFO = new AttributeTable({
  version: { number: 1, codec: u32 },
  connectionTableSize: { number: 2, codec: u32 },
})
/** IPVS_DAEMON_ATTR_*; the last three came with Linux 4.3. */
const DAEMON = new AttributeTable({
  state: { number: 1, codec: u32 },
  interface: { number: 2, codec: text },
  syncId: { number: 3, codec: u32 },
  maxLength: { number: 4, codec: u16 },
  group: { number: 5, codec: u32 },
  port: { number: 7, codec: u16 },
  ttl: { number: 8, codec: u8 },
})
const DAEMON_COMMAND = new AttributeTable({ daemon: { number: 3, codec: nested(DAEMON) } })

/** RFC 5737. */
const ADDRESS = ip('192.0.2.1')
const SYNC_DEVICE = 'lvsprobe-sync'

type IpvsCapabilities = Pick<
  Capabilities,
  'ipvs' | 'ipvsVersion' | 'connectionTableSize' | 'schedulers' | 'tunnels' | 'syncDaemon'
>

export async function tryIpvs(
  generic: NetlinkSocket,
  route: NetlinkSocket,
): Promise<IpvsCapabilities> {
  const { items, failure } = await resolveFamily(generic, IPVS_GENL_NAME)
  const [family] = items
  if (family === undefined) return withoutIpvs(verdictOf(failure, ['ENOENT']))
  const ask = asker(generic, family)
  const isReady = await hasDevice(route)
  const info = await ask.info()
  const schedulers: Record<string, Verdict> = {}
  for (const [i, scheduler] of SCHEDULERS.entries()) {
    schedulers[scheduler] = verdictOf(await ask.service(i + 1, scheduler), ['ENOENT'])
  }
  return {
    ipvs: verdictOf(info.failure, []),
    ipvsVersion: versionText(info.version),
    connectionTableSize: info.connectionTableSize ?? null,
    schedulers,
    tunnels: isReady ? await tryTunnels(ask) : {},
    syncDaemon: isReady ? await trySyncDaemon(ask) : 'unknown',
  }
}

function withoutIpvs(ipvs: Verdict): IpvsCapabilities {
  const all = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, ipvs]))
  return {
    ipvs,
    ipvsVersion: null,
    connectionTableSize: null,
    schedulers: all(SCHEDULERS),
    tunnels: all(PROBED_TUNNELS),
    syncDaemon: ipvs,
  }
}

type Ask = ReturnType<typeof asker>
type Answered = Promise<NetlinkFailure | undefined>

/** The requests of this file, for the family number that IPVS has now. */
function asker(socket: NetlinkSocket, family: number) {
  const begin = (writer: MessageWriter, command: number, flags = NLM_F_REQUEST): void =>
    beginGeneric(writer, { family, flags, command, version: IPVS_GENL_VERSION })
  const send = async (what: string, write: (writer: MessageWriter) => void): Answered =>
    (await socket.request(`try ${what}`, write, () => undefined)).failure
  const key = (port: number) => ({
    family: AF_INET,
    protocol: IPPROTO_TCP,
    address: ipToBytes(ADDRESS),
    port,
  })
  return {
    async info() {
      const { items, failure } = await socket.request(
        'get IPVS info',
        (writer) => {
          begin(writer, IPVS_CMD_GET_INFO)
          writer.end()
        },
        ({ bytes, start, end }) => INFO.decode(bytes, start + GENL_HEADER_BYTES, end),
      )
      return { ...items[0], failure }
    },
    service: (port: number, scheduler: string): Answered =>
      send(`scheduler ${scheduler}`, (writer) => {
        begin(writer, IPVS_CMD_NEW_SERVICE)
        const netmask = ipToBytes(ip('255.255.255.255'))
        const service = { ...key(port), scheduler, flags: 0, timeoutSeconds: 0, netmask }
        COMMAND.encode(writer, { service })
        writer.end()
      }),
    tunnel: (port: number, tunnelType: number): Answered =>
      send(`tunnel type ${tunnelType}`, (writer) => {
        begin(writer, IPVS_CMD_NEW_DEST)
        COMMAND.encode(writer, {
          service: key(port),
          destination: {
            family: AF_INET,
            address: ipToBytes(ip(`192.0.2.${10 + tunnelType}`)),
            port,
            forwarding: IP_VS_CONN_F_TUNNEL,
            weight: 1,
            upperThreshold: 0,
            lowerThreshold: 0,
            tunnelType,
            tunnelPort: tunnelType === TUNNEL_TYPES.gue ? 6080 : 0,
            tunnelFlags: 0,
          },
        })
        writer.end()
      }),
    tunnelTypes: (port: number): Promise<readonly (number | undefined)[]> =>
      socket.dump(
        'list destinations',
        (writer) => {
          begin(writer, IPVS_CMD_GET_DEST, NLM_F_REQUEST | NLM_F_DUMP)
          COMMAND.encode(writer, { service: key(port) })
          writer.end()
        },
        ({ bytes, start, end }) =>
          COMMAND.decode(bytes, start + GENL_HEADER_BYTES, end).destination?.tunnelType,
      ),
    daemon: (command: number): Answered =>
      send('sync daemon', (writer) => {
        begin(writer, command)
        DAEMON_COMMAND.encode(writer, {
          daemon: {
            state: IP_VS_STATE_MASTER,
            interface: SYNC_DEVICE,
            syncId: 1,
            maxLength: 1_400,
            group: Buffer.from(ipToBytes(ip('224.0.0.81'))).readUInt32LE(),
            port: 8_848,
            ttl: 1,
          },
        })
        writer.end()
      }),
  }
}

async function tryTunnels(ask: Ask): Promise<Record<string, Verdict>> {
  // The port of scheduler rr, the first in the list, which every kernel with IPVS has.
  const port = 1
  const verdicts: Record<string, Verdict> = {}
  for (const type of PROBED_TUNNELS) {
    const number = TUNNEL_TYPES[type]
    const verdict = verdictOf(await ask.tunnel(port, number), ['EINVAL'])
    const isIgnored = verdict === 'yes' && !(await standsAs(ask, port, number))
    verdicts[type] = isIgnored ? 'no' : verdict
  }
  return verdicts
}

/** ipip needs no attribute to be said: kernels without tunnel types know nothing else. */
async function standsAs(ask: Ask, port: number, number: number): Promise<boolean> {
  const types = await ask.tunnelTypes(port)
  return number === TUNNEL_TYPES.ipip ? types.length > 0 : types.includes(number)
}

/**
 * An interface with an address: the sync daemon binds to one (make_send_sock), and a namespace without any
 * address takes every destination for broadcast and refuses it (inet_addr_type without a local table).
 */
async function hasDevice(route: NetlinkSocket): Promise<boolean> {
  const made = await route.request(
    'make a device',
    (writer) => createDevice(writer, { name: SYNC_DEVICE, kind: 'dummy' }),
    () => undefined,
  )
  if (made.failure !== undefined) return false
  const { links } = await new RtnlKernel(route).observeNetwork()
  const index = links.find(({ name }) => name === SYNC_DEVICE)?.index
  if (index === undefined) return false
  const added = await route.request(
    'add an address',
    (writer) => addAddress(writer, ADDRESS, index),
    () => undefined,
  )
  return added.failure === undefined
}

async function trySyncDaemon(ask: Ask): Promise<Verdict> {
  const failure = await ask.daemon(IPVS_CMD_NEW_DAEMON)
  if (failure === undefined) await ask.daemon(IPVS_CMD_DEL_DAEMON)
  return verdictOf(failure, ['EINVAL', 'ENOTSUP'])
}

/** NVERSION of ip_vs.h: one byte each. */
function versionText(version: number | undefined): string | null {
  if (version === undefined) return null
  return `${(version >> 16) & 0xff}.${(version >> 8) & 0xff}.${version & 0xff}`
}
