/**
 * One echo over a ping socket (SOCK_DGRAM, IPPROTO_ICMP), which needs no privilege where net.ipv4.ping_group_range has
 * the agent's group. The kernel writes identifier and checksum, and gives only replies to this socket. RFC 792, RFC 4443.
 */
import { randomBytes } from 'node:crypto'
import { familyOf, type Family } from '@lvs-fleet/contract'
import { startDeadline } from '../deadline.ts'
import { bad, cannotRun, resultOfError } from '../failure.ts'
import type { ProbeResult, ProbeTarget } from '../probe.ts'

/** Opens a ping socket: its descriptor, or the name of the error. */
export type OpenPing = (family: Family) => Promise<number | string>

const REQUEST: Readonly<Record<Family, number>> = { ipv4: 8, ipv6: 128 }
const REPLY: Readonly<Record<Family, number>> = { ipv4: 0, ipv6: 129 }
const TOKEN_BYTES = 16
/** dgram wants a port; ping sockets do not look at it. */
const ANY_PORT = 1

export async function probeIcmp(target: ProbeTarget, openPing: OpenPing): Promise<ProbeResult> {
  const family = familyOf(target.address)
  const fd = await openPing(family)
  if (typeof fd === 'string') return cannotRun(whyNot(fd))
  const socket = process
    .getBuiltinModule('node:dgram')
    .createSocket(family === 'ipv4' ? 'udp4' : 'udp6')
  const token = randomBytes(TOKEN_BYTES)
  const startedMs = performance.now()
  return new Promise((resolve) => {
    let isOver = false
    const finish = (result: ProbeResult): void => {
      if (isOver) return
      isOver = true
      cancel()
      socket.close()
      resolve(result)
    }
    const cancel = startDeadline(target.timeoutMs, () =>
      finish(bad('silent', `no echo within ${target.timeoutMs} ms`)),
    )
    socket.unref()
    socket.on('error', (error) => finish(resultOfError(error, false)))
    socket.on('message', (bytes) => {
      if (bytes[0] !== REPLY[family] || !bytes.subarray(8).equals(token)) return
      finish({ is: 'good', latencyMs: performance.now() - startedMs, detail: 'echo' })
    })
    socket.bind({ fd, exclusive: true }, () => {
      const head = Buffer.from([REQUEST[family], 0, 0, 0, 0, 0, 0, 1])
      socket.send(Buffer.concat([head, token]), ANY_PORT, target.address, (error) => {
        if (error !== null) finish(resultOfError(error, false))
      })
    })
  })
}

function whyNot(code: string): string {
  if (code !== 'EACCES') return `ping socket: ${code}`
  return 'net.ipv4.ping_group_range leaves out the group of the agent: sysctl -w net.ipv4.ping_group_range="0 2147483647"'
}
