/**
 * An independent witness of what a host's programs tell its kernel: nlmon copies every netlink message of
 * the namespace, tcpdump keeps them, and this counts the requests that change something.
 */
import type { Lab } from '../lab.ts'

/** include/uapi/linux/netlink.h */
const REQUEST_FLAG = 1
const HEADER_LENGTH = 16
/** LINKTYPE_NETLINK: what the capture puts before the messages; bytes 14 and 15 are the netlink protocol. */
const COOKED_LENGTH = 16
const NETLINK_ROUTE = 0
const NETLINK_GENERIC = 16

const CAPTURE = '/tmp/nlmon.pcap'
const PCAP_FILE_HEADER_LENGTH = 24
const PCAP_RECORD_HEADER_LENGTH = 16

/** include/uapi/linux/rtnetlink.h: requests that make, change or remove a link, an address, a route or a rule. */
const ROUTE_WRITES = new Set([16, 17, 20, 21, 24, 25, 32, 33])
/** include/uapi/linux/ip_vs.h: NEW, SET and DEL of service and destination, of daemons, SET_CONFIG, ZERO, FLUSH. */
const IPVS_WRITES: ReadonlyMap<number, string> = new Map([
  [1, 'new service'],
  [2, 'set service'],
  [3, 'del service'],
  [5, 'new destination'],
  [6, 'set destination'],
  [7, 'del destination'],
  [9, 'new daemon'],
  [10, 'del daemon'],
  [12, 'set config'],
  [16, 'zero'],
  [17, 'flush'],
])

/** Writes that the kernel of `host` is asked for while `action` runs, one name each. */
export async function writesDuring(
  lab: Lab,
  host: string,
  action: () => Promise<unknown>,
): Promise<string[]> {
  const family = /ID: (0x[0-9a-f]+)/.exec(await lab.sh(host, 'genl ctrl get name IPVS'))?.[1]
  if (family === undefined) throw new Error(`${host}: no generic netlink family IPVS`)
  await lab.sh(host, 'ip link add nlmon0 type nlmon && ip link set nlmon0 up')
  // A batch of the agent is at most 60 kB, and the ring has a slot of that size for each packet.
  const command = `tcpdump -i nlmon0 --immediate-mode -s 65535 -B 16384 -Z root -w ${CAPTURE}`
  const capture = await lab.spawn(host, command.split(' '), { name: `nlmon-${host}` })
  await capture.waitFor('listening on', 20_000)
  try {
    await action()
  } finally {
    await capture.kill('SIGINT')
    await capture.stop()
    await lab.sh(host, 'ip link del nlmon0')
  }
  const dropped = /(\d+) packets? dropped by kernel/.exec(capture.output())?.[1]
  if (dropped !== '0') throw new Error(`${host}: tcpdump missed ${dropped ?? '?'} packets`)
  const file = Buffer.from(await lab.sh(host, ['base64', '-w0', CAPTURE]), 'base64')
  return packetsOf(file).flatMap((packet) => writesOf(packet, Number(family)))
}

/** Packets of a file as tcpdump writes it (pcap-savefile(5)), in the byte order of the guest. */
function packetsOf(file: Buffer): Buffer[] {
  const packets: Buffer[] = []
  let at = PCAP_FILE_HEADER_LENGTH
  while (at + PCAP_RECORD_HEADER_LENGTH <= file.length) {
    const length = file.readUInt32LE(at + 8)
    at += PCAP_RECORD_HEADER_LENGTH
    packets.push(file.subarray(at, at + length))
    at += length
  }
  return packets
}

function writesOf(packet: Buffer, ipvsFamily: number): string[] {
  if (packet.length < COOKED_LENGTH) return []
  const protocol = packet.readUInt16BE(14)
  const writes: string[] = []
  let offset = COOKED_LENGTH
  while (offset + HEADER_LENGTH <= packet.length) {
    const length = packet.readUInt32LE(offset)
    if (length < HEADER_LENGTH) break
    const type = packet.readUInt16LE(offset + 4)
    const isRequest = (packet.readUInt16LE(offset + 6) & REQUEST_FLAG) !== 0
    if (isRequest && protocol === NETLINK_ROUTE && ROUTE_WRITES.has(type))
      writes.push(`rtnetlink ${type}`)
    if (isRequest && protocol === NETLINK_GENERIC && type === ipvsFamily) {
      const name = IPVS_WRITES.get(packet[offset + HEADER_LENGTH] ?? 0)
      if (name !== undefined) writes.push(name)
    }
    offset += (length + 3) & ~3
  }
  return writes
}
