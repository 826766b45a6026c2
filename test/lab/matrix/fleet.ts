/**
 * The intent of the matrix, as an operator would write it: one director, a real server for each form and family,
 * a virtual service for each cell and scheduler. Takes cells; gives a fleet for the compiler, and what it says
 * of one that cannot work. Pure.
 */
import type { Protocol, Scheduler } from '@lvs-fleet/contract'
import { compileFleet, type Compiled } from '../../../services/api/src/compile/compile.ts'
import { fleetFromDocument, fleetSchema } from '../../../services/api/src/intent/fleet.ts'
import { validateFleet } from '../../../services/api/src/intent/validate.ts'
import type { Cell, Form } from './cells.ts'
import { DIRECTOR } from './topology.ts'

export type Member = {
  readonly realServer: string
  readonly weight?: number
  readonly port?: number
  readonly forwarding?: 'auto' | 'nat' | 'dr' | 'tun'
  readonly tunnel?: 'ipip' | 'gre' | 'gue'
}
export type Ask = {
  readonly name: string
  readonly vip: string
  readonly protocol?: Protocol
  readonly port?: number
  readonly scheduler?: Scheduler
  readonly members: readonly Member[]
}

const REAL_SERVERS = {
  'rs-a1': { site: 'a', addresses: ['10.1.0.11'], decapsulates: [] },
  'rs-a2': { site: 'a', addresses: ['fd01::12'], decapsulates: [] },
  'rs-a3': { site: 'a', addresses: ['10.1.0.13'], decapsulates: [], gateway: DIRECTOR },
  'rs-a4': { site: 'a', addresses: ['fd01::14'], decapsulates: [], gateway: DIRECTOR },
  'rs-b1': { site: 'b', addresses: ['10.2.0.11'], decapsulates: ['ipip', 'gre', 'gue'] },
  'rs-b2': summed('10.2.0.12'),
  'rs-b3': offloaded('10.2.0.13'),
  'rs-b4': { site: 'b', addresses: ['fd02::14'], decapsulates: ['ipip', 'gre', 'gue'] },
  'rs-b5': summed('fd02::15'),
  'rs-b6': offloaded('fd02::16'),
  // The director itself: what answers there is a Local Node.
  'local-v4': { site: 'a', addresses: ['10.1.0.10'] },
  'local-v6': { site: 'a', addresses: ['fd01::10'] },
}

/** Every cell with each of its schedulers. */
export function asksOf(cells: readonly Cell[]): Ask[] {
  return cells.flatMap(({ name, vip, protocol, listeners, form, server }) =>
    listeners.map(({ scheduler, port }) => ({
      name: `${name}-${scheduler}`,
      vip,
      protocol,
      port,
      scheduler,
      members: [memberOf(form, server)],
    })),
  )
}

/** `pathMtu` is that between the sites. */
export function compileAsks(asks: readonly Ask[], { pathMtu = 1500 } = {}): Compiled {
  const document = fleetSchema.parse({
    sites: {
      a: {
        networks: [{ name: 'servers', cidrs: ['10.1.0.0/24', 'fd01::/64'] }],
        paths: [{ to: 'b', mtu: pathMtu }],
      },
      b: { networks: [{ name: 'servers', cidrs: ['10.2.0.0/24', 'fd02::/64'] }] },
    },
    directors: { [DIRECTOR]: { site: 'a', addresses: ['10.1.0.10', 'fd01::10'] } },
    realServers: REAL_SERVERS,
    pools: Object.fromEntries(asks.map(({ name, members }) => [name, { members }])),
    virtualServices: Object.fromEntries(asks.map((ask) => [ask.name, serviceOf(ask)])),
  })
  const fleet = fleetFromDocument(document)
  const wrong = validateFleet(fleet)
  if (wrong.length > 0) throw new Error(wrong.map(({ message }) => message).join('\n'))
  return compileFleet(fleet)
}

/** Why the compiler refuses it; undefined = it takes it. `method` is the one whose reason counts. */
export function refusalOf(ask: Ask, method: string, pathMtu = 1500): string | undefined {
  const message = compileAsks([ask], { pathMtu }).problems[0]?.message
  if (message === undefined) return undefined
  const reasons = /(?:local|dr|tun|nat): .*?(?=; (?:dr|tun|nat): |$)/g
  const own = message.match(reasons)?.find((reason) => reason.startsWith(`${method}: `))
  return own?.slice(method.length + 2) ?? message
}

/** `local` is never asked: it is what `auto` makes of a real server that is the director. */
export function methodOf(form: Form): 'nat' | 'dr' | 'tun' | 'local' {
  return form === 'nat' || form === 'dr' || form === 'local' ? form : 'tun'
}

export function memberOf(form: Form, realServer: string): Member {
  const method = methodOf(form)
  if (method === 'local') return { realServer }
  if (method !== 'tun') return { realServer, forwarding: method }
  const tunnel = form.startsWith('gre') ? 'gre' : form.startsWith('gue') ? 'gue' : 'ipip'
  return { realServer, forwarding: 'tun', tunnel }
}

function serviceOf({ name, vip, protocol = 'tcp', port = 80, scheduler = 'rr' }: Ask) {
  const carriedBy = { directors: [DIRECTOR] }
  return { vips: [vip], protocol, ports: [port], scheduler, pool: name, carriedBy, drainSeconds: 0 }
}

function summed(address: string) {
  const sums = { gre: { checksum: true }, gue: { checksum: 'csum' } }
  return { site: 'b', addresses: [address], decapsulates: ['gre', 'gue', 'ipip'], ...sums }
}

function offloaded(address: string) {
  const gue = { checksum: 'remcsum' }
  return { site: 'b', addresses: [address], decapsulates: ['gue', 'ipip'], gue }
}
