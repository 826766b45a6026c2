/**
 * The cells of the traffic matrix as data: what carries a packet × family of the VIP × family of the real server ×
 * protocol. Takes nothing; gives every cell, those that can work and those that cannot, each with a VIP of its own,
 * so that whatever is counted for that address belongs to that cell.
 */
import type { Protocol, Scheduler } from '@lvs-fleet/contract'

export const FORMS = [
  'nat',
  'dr',
  'local',
  'ipip',
  'gre',
  'gre csum',
  'gue',
  'gue csum',
  'gue remcsum',
] as const
/** A forwarding method, for TUN with its tunnel and the tunnel's checksum. */
export type Form = (typeof FORMS)[number]
export type Short = 'v4' | 'v6'

export type Cell = {
  readonly form: Form
  readonly vipFamily: Short
  readonly serverFamily: Short
  readonly protocol: Protocol
  readonly vip: string
  /** Where its packets must go. */
  readonly server: string
  /** Name of its virtual services, before the scheduler. */
  readonly name: string
  /** One scheduler of each group; each has a port of its own. */
  readonly listeners: readonly Listener[]
}
export type Listener = { readonly scheduler: Scheduler; readonly port: number }

/** Schedulers that decide by the same thing; docs say what. */
export const GROUPS = {
  'round robin': ['rr', 'wrr'],
  connections: ['lc', 'wlc', 'sed', 'nq'],
  hash: ['sh', 'mh'],
  order: ['fo', 'ovf'],
  caches: ['dh', 'lblc', 'lblcr'],
} as const satisfies Readonly<Record<string, readonly Scheduler[]>>

export const FIRST_PORT: Readonly<Record<Protocol, number>> = { tcp: 80, udp: 53, sctp: 80 }
export const TCP_PORTS = Object.keys(GROUPS).map((_, i) => FIRST_PORT.tcp + i)

/** The real servers that take a form, v4 and v6. Tunnels go to the other site, over two routers. */
const SERVER_OF: Readonly<Record<Form, Readonly<Record<Short, string>>>> = {
  nat: { v4: 'rs-a3', v6: 'rs-a4' },
  dr: { v4: 'rs-a1', v6: 'rs-a2' },
  local: { v4: 'local-v4', v6: 'local-v6' },
  ipip: { v4: 'rs-b1', v6: 'rs-b4' },
  gre: { v4: 'rs-b1', v6: 'rs-b4' },
  'gre csum': { v4: 'rs-b2', v6: 'rs-b5' },
  gue: { v4: 'rs-b1', v6: 'rs-b4' },
  'gue csum': { v4: 'rs-b2', v6: 'rs-b5' },
  'gue remcsum': { v4: 'rs-b3', v6: 'rs-b6' },
}

const FAMILIES: readonly Short[] = ['v4', 'v6']
const PROTOCOLS: readonly Protocol[] = ['tcp', 'udp', 'sctp']

export const CELLS: readonly Cell[] = FORMS.flatMap((form) =>
  FAMILIES.flatMap((vipFamily) =>
    FAMILIES.flatMap((serverFamily) =>
      PROTOCOLS.map((protocol) => ({ form, vipFamily, serverFamily, protocol })),
    ),
  ),
).map((cell, index) => ({
  ...cell,
  vip: vipOf(cell.vipFamily, index + 20),
  server: SERVER_OF[cell.form][cell.serverFamily],
  name: [cell.form.replace(' ', '-'), cell.vipFamily, cell.serverFamily, cell.protocol].join('-'),
  listeners: listenersOf(cell.protocol, index),
}))

/** Only TUN changes the family: the kernel's rule family-mix. */
export function canWork({ form, vipFamily, serverFamily }: Cell): boolean {
  return vipFamily === serverFamily || !['nat', 'dr', 'local'].includes(form)
}

export function vipOf(family: Short, id: number): string {
  return family === 'v4' ? `10.1.0.${id}` : `fd01::1:${id}`
}

export function urlOf(vip: string, port = FIRST_PORT.tcp, path = '/'): string {
  return `http://${vip.includes(':') ? `[${vip}]` : vip}:${port}${path}`
}

/** Schedulers do not know the protocol, and each listener of SCTP needs a socket of its own: one is enough. */
function listenersOf(protocol: Protocol, index: number): Listener[] {
  const groups: readonly (readonly Scheduler[])[] = Object.values(GROUPS)
  const all = groups.map((group, i) => ({
    scheduler: group[Math.floor(index / 3) % group.length] ?? 'rr',
    port: FIRST_PORT[protocol] + i,
  }))
  return protocol === 'sctp' ? all.slice(0, 1) : all
}
