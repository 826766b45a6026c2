/**
 * /proc/net/ip_vs_conn as handshakes: how many TCP connections to each real server wait for the client's answer,
 * and how many had it. Takes the text, which may be cut; gives one row for each VIP, port and real server. Pure.
 */
import { parseIp, type Ip } from '@lvs-fleet/contract'
import type { Handshakes } from './facts.ts'

/** tcp_state_name_table, net/netfilter/ipvs/ip_vs_proto_tcp.c: states that need a whole handshake. */
const COMPLETED = new Set(['ESTABLISHED', 'FIN_WAIT', 'TIME_WAIT', 'CLOSE_WAIT', 'LAST_ACK'])
const HALF_OPEN = 'SYN_RECV'

/** Lines of ip_vs_conn_seq_show (ip_vs_conn.c): protocol, client, VIP and real server with their ports, state, expiry. */
export function parseHandshakes(text: string): Handshakes[] {
  const rows = new Map<string, { -readonly [K in keyof Handshakes]: Handshakes[K] }>()
  // The last line may be cut, and a whole table ends with a newline.
  for (const line of text.split('\n').slice(1, -1)) {
    const [protocol, , , vipText, portText, serverText, , state = ''] = line.trim().split(/\s+/)
    const isCompleted = COMPLETED.has(state)
    if (protocol !== 'TCP' || (state !== HALF_OPEN && !isCompleted)) continue
    const vip = addressOf(vipText)
    const server = addressOf(serverText)
    const port = Number.parseInt(portText ?? '', 16)
    if (vip === undefined || server === undefined || Number.isNaN(port)) continue
    const key = `${vip} ${port} ${server}`
    const row = rows.get(key) ?? { vip, port, server, halfOpen: 0, completed: 0 }
    rows.set(key, row)
    if (isCompleted) row.completed++
    else row.halfOpen++
  }
  return [...rows.values()]
}

/** `0A010064`, or IPv6 with all its groups. */
function addressOf(text = ''): Ip | undefined {
  if (text.includes(':')) return parseIp(text)
  const bytes = /^([0-9A-F]{2})([0-9A-F]{2})([0-9A-F]{2})([0-9A-F]{2})$/.exec(text)?.slice(1)
  return bytes && parseIp(bytes.map((byte) => Number.parseInt(byte, 16)).join('.'))
}
