/**
 * What the compiler refuses although the kernel takes it: each is programmed with ipvsadm, past the compiler, and
 * asked by a client, so that the refusal is shown to spare somebody something. Takes a lab that is programmed.
 */
import type { Lab } from '../lab.ts'
import { urlOf } from './cells.ts'
import { type Ask, type Member, refusalOf } from './fleet.ts'
import type { MisrouteRow } from './result.ts'
import { CLIENT, DIRECTOR } from './topology.ts'

type Misroute = {
  readonly asked: string
  readonly member: Member & { readonly forwarding: 'nat' | 'dr' | 'tun' }
  readonly pathMtu?: number
  /** What `ipvsadm -a` is told of the destination. */
  readonly destination: string
  /** On the director and the real server, so that nothing but the misroute is missing. */
  readonly prepare?: Readonly<Record<string, string>>
  readonly restore?: Readonly<Record<string, string>>
  /** What the client sees instead of an answer by the port and host asked for. */
  readonly wanted: RegExp
}

const VIP = '10.1.0.240'
const NARROW_PATH = 'fd02::14/128 via fd01::1'

const ROWS: readonly Misroute[] = [
  {
    asked: 'DR to a real server behind a router',
    member: { realServer: 'rs-b1', forwarding: 'dr' },
    destination: '10.2.0.11:80 -g',
    wanted: /^(TIMEOUT|ERR EHOSTUNREACH)$/,
  },
  {
    asked: 'DR to another port',
    member: { realServer: 'rs-a1', forwarding: 'dr', port: 81 },
    destination: '10.1.0.11:81 -g',
    wanted: /^rs-a1:80 /,
  },
  {
    asked: 'TUN to another port',
    member: { realServer: 'rs-b1', forwarding: 'tun', port: 81 },
    destination: '10.2.0.11:81 -i',
    wanted: /^rs-b1:80 /,
  },
  {
    asked: 'TUN to a real server that decapsulates nothing',
    member: { realServer: 'rs-a1', forwarding: 'tun' },
    destination: '10.1.0.11:80 -i',
    wanted: /^ERR ECONNREFUSED$/,
  },
  {
    asked: 'NAT to a real server whose gateway is not the director',
    member: { realServer: 'rs-a1', forwarding: 'nat' },
    destination: '10.1.0.11:80 -m',
    wanted: /^TIMEOUT$/,
  },
  {
    asked: 'TUN over IPv6 where less than 1280 bytes fit inside',
    member: { realServer: 'rs-b4', forwarding: 'tun', tunnel: 'ipip' },
    pathMtu: 1300,
    destination: '[fd02::14]:80 -i',
    prepare: { [DIRECTOR]: `ip -6 route add ${NARROW_PATH} mtu 1300` },
    restore: { [DIRECTOR]: `ip -6 route del ${NARROW_PATH}` },
    wanted: /^TIMEOUT$/,
  },
]

export async function proveMisroutes(lab: Lab): Promise<MisrouteRow[]> {
  await lab.sh(DIRECTOR, `ip addr add ${VIP}/32 dev eth0`)
  for (const host of ['rs-a1', 'rs-b1', 'rs-b4']) await lab.sh(host, `ip addr add ${VIP}/32 dev lo`)
  const rows: MisrouteRow[] = []
  for (const row of ROWS) rows.push(await proveMisroute(lab, row))
  return rows
}

async function proveMisroute(lab: Lab, row: Misroute): Promise<MisrouteRow> {
  const { asked, member, destination, wanted, pathMtu, prepare = {}, restore = {} } = row
  const ask: Ask = { name: 'misroute', vip: VIP, members: [member] }
  const refusal = refusalOf(ask, member.forwarding, pathMtu)
  const faults = refusal === undefined ? ['the compiler takes it'] : []
  for (const [host, command] of Object.entries(prepare)) await lab.sh(host, command)
  const add = `ipvsadm -A -t ${VIP}:80 -s rr && ipvsadm -a -t ${VIP}:80 -r ${destination}`
  await lab.sh(DIRECTOR, add)
  const [seen = 'nothing'] = Object.keys(
    await lab.get(CLIENT, { url: urlOf(VIP), timeoutMs: 3_000 }),
  )
  await lab.sh(DIRECTOR, `ipvsadm -D -t ${VIP}:80`)
  for (const [host, command] of Object.entries(restore)) await lab.sh(host, command)
  if (!wanted.test(seen)) faults.push(`the client saw ${seen}, not ${wanted.source}`)
  return { asked, refusal: refusal ?? 'none', text: seen.replace(/ from=.*/, ''), faults }
}
