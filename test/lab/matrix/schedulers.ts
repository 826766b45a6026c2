/**
 * Every scheduler with packets, over one method: three real servers behind IPIP, with weights 1, 2 and 3. Takes a
 * lab that is programmed; gives a row each. One method is enough: `ip_vs_schedule` (net/netfilter/ipvs/ip_vs_core.c)
 * asks the scheduler for a destination and only then makes the connection, and `ip_vs_bind_xmit` (ip_vs_conn.c)
 * picks what sends its packets by the destination's method alone. The cells show the same the other way round.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Hold } from '../host/traffic.ts'
import type { Lab } from '../lab.ts'
import { byServer, serverOf } from '../histogram.ts'
import { GROUPS, urlOf, vipOf } from './cells.ts'
import type { Ask } from './fleet.ts'
import type { SchedulerRow } from './result.ts'
import { CLIENT } from './topology.ts'

type Servers = Readonly<Record<string, number>>
type Proof = {
  /** What ipvsadm(8) and the kernel's source promise. */
  readonly says: string
  readonly prove: (lab: Lab, url: string) => Promise<Sight>
}
/** What was seen, and whether that is what was promised. */
type Sight = { readonly text: string; readonly holds: boolean }

export const SERVERS = ['rs-b1', 'rs-b2', 'rs-b3'] as const
/** Addresses of clients, on the segment of the one that the lab has. */
const SOURCES = Array.from({ length: 8 }, (_, i) => `10.1.9.${i + 20}`)

const byLoad = (says: string, first: Servers): Proof => ({
  says,
  prove: async (lab, url) => {
    const held = await open(lab, url, 6)
    const spread = countOf(held.map(({ server }) => server))
    const leaving = held.filter(({ server }) => server === 'rs-b3')
    for (const { hold } of leaving) await hold.close()
    const again = await open(lab, url, leaving.length)
    const refill = countOf(again.map(({ server }) => server))
    for (const { hold } of [...held, ...again]) await hold.close()
    const text = `6 held: ${show(spread)}; those of rs-b3 closed, as many opened: ${show(refill)}`
    return { text, holds: same(spread, first) && same(refill, { 'rs-b3': leaving.length }) }
  },
})

const byTurn = (says: string, wanted: Servers): Proof => ({
  says,
  prove: async (lab, url) => {
    const n = Object.values(wanted).reduce((sum, share) => sum + share, 0)
    const seen = byServer(await lab.get(CLIENT, { url, n, par: 1 }))
    return { text: `${n} requests: ${show(seen)}`, holds: same(seen, wanted) }
  },
})

const byAddress = (says: string): Proof => ({
  says,
  prove: async (lab, url) => {
    const chosen: string[] = []
    for (const src of SOURCES) {
      const servers = Object.keys(byServer(await lab.get(CLIENT, { url, src, n: 3, par: 1 })))
      chosen.push(servers.join('+'))
    }
    const isSticky = chosen.every((server) => SERVERS.some((name) => name === server))
    const text = `${SOURCES.length} clients, 3 requests each: ${show(countOf(chosen))} clients`
    return { text, holds: isSticky && new Set(chosen).size > 1 }
  },
})

const byVip = (says: string): Proof => ({
  says,
  prove: async (lab, url) => {
    const seen = byServer(await lab.get(CLIENT, { url, n: 6, par: 1 }))
    const [server = ''] = Object.keys(seen)
    const holds = SERVERS.some((name) => name === server) && seen[server] === 6
    return { text: holds ? '6 requests: one real server' : show(seen), holds }
  },
})

const overflow: Proof = {
  says: 'the largest weight until it has more connections than weight, then the next',
  prove: async (lab, url) => {
    const held = await open(lab, url, 9)
    const order = held.map(({ server }) => server)
    for (const { hold } of held) await hold.close()
    const runs = SERVERS.toReversed().flatMap((server, i) =>
      Array.from({ length: 4 - i }, () => server),
    )
    return { text: `9 held, in order: ${show(countOf(order))}`, holds: same(order, runs) }
  },
}

/** One for each scheduler of the groups: one that is missing does not compile. */
const PROOFS: Readonly<Record<(typeof GROUPS)[keyof typeof GROUPS][number], Proof>> = {
  rr: byTurn('one after the other, whatever the weights', { 'rs-b1': 3, 'rs-b2': 3, 'rs-b3': 3 }),
  wrr: byTurn('in turn, by weight', { 'rs-b1': 2, 'rs-b2': 4, 'rs-b3': 6 }),
  lc: byLoad('the fewest connections', { 'rs-b1': 2, 'rs-b2': 2, 'rs-b3': 2 }),
  wlc: byLoad('the fewest connections by weight', { 'rs-b1': 1, 'rs-b2': 2, 'rs-b3': 3 }),
  sed: byLoad('the shortest expected delay', { 'rs-b1': 1, 'rs-b2': 2, 'rs-b3': 3 }),
  nq: byLoad('an idle one, else the shortest expected delay', {
    'rs-b1': 1,
    'rs-b2': 2,
    'rs-b3': 3,
  }),
  sh: byAddress('by a hash of the client address'),
  mh: byAddress("by Maglev's hash of the client address"),
  fo: byTurn('the largest weight above 0 takes all', { 'rs-b3': 4 }),
  ovf: overflow,
  dh: byVip('by a hash of the address that the client asked for'),
  lblc: byVip('the least loaded, then always that one for the address asked for'),
  lblcr: byVip('as lblc, with a set of real servers for each address'),
}

export function schedulerAsks({ weightOfB3 = 3 } = {}): Ask[] {
  return rows().map(({ scheduler, vip }) => ({
    name: `scheduler-${scheduler}`,
    vip,
    scheduler,
    members: SERVERS.map((realServer, i) => ({
      realServer,
      weight: realServer === 'rs-b3' ? weightOfB3 : i + 1,
      forwarding: 'tun',
      tunnel: 'ipip',
    })),
  }))
}

export async function proveSchedulers(lab: Lab): Promise<SchedulerRow[]> {
  const adding = SOURCES.map((source) => `ip addr add ${source}/24 dev eth0`)
  await lab.sh(CLIENT, adding.join(' && '))
  const done: SchedulerRow[] = []
  for (const { group, scheduler, vip } of rows()) {
    const { says, prove } = PROOFS[scheduler]
    const { text, holds } = await prove(lab, urlOf(vip))
    done.push({ group, scheduler, says, text, faults: holds ? [] : [`${text}; wanted: ${says}`] })
  }
  return done
}

/** When rs-b3 has weight 0. */
export async function proveFailOver(lab: Lab): Promise<SchedulerRow> {
  const vip = rows().find(({ scheduler }) => scheduler === 'fo')?.vip ?? ''
  const says = 'the next weight takes all when the largest goes to 0'
  const seen = byServer(await lab.get(CLIENT, { url: urlOf(vip), n: 4, par: 1 }))
  const text = `4 requests: ${show(seen)}`
  const faults = same(seen, { 'rs-b2': 4 }) ? [] : [`${text}; wanted: ${says}`]
  return { group: 'order', scheduler: 'fo', says, text, faults }
}

function rows() {
  return Object.entries(GROUPS)
    .flatMap(([group, schedulers]) => schedulers.map((scheduler) => ({ group, scheduler })))
    .map((row, i) => ({ ...row, vip: vipOf('v4', 200 + i) }))
}

async function open(
  lab: Lab,
  url: string,
  count: number,
): Promise<{ hold: Hold; server: string }[]> {
  const held: { hold: Hold; server: string }[] = []
  while (held.length < count) {
    const hold = await lab.hold(CLIENT, { url })
    held.push({ hold, server: serverOf(hold.first.answerer) })
  }
  return held
}

function countOf(names: readonly string[]): Servers {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

function show(counts: Servers): string {
  return Object.entries(counts)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, n]) => `${name} ${n}`)
    .join(', ')
}

function same(seen: unknown, wanted: unknown): boolean {
  return isDeepStrictEqual(seen, wanted)
}
