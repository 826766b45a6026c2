/**
 * One virtual service with every method at once, the director itself among its real servers. Takes a lab that is
 * programmed; round robin, so that each of them answers exactly once.
 */
import type { Lab } from '../lab.ts'
import type { Histogram } from '../protocol.ts'
import { FIRST_PORT, type Form, type Short, urlOf, vipOf } from './cells.ts'
import { type Ask, memberOf } from './fleet.ts'
import type { MixedRow } from './result.ts'
import { hostOf } from './traffic.ts'
import { CLIENT } from './topology.ts'

type Part = readonly [form: Form, realServer: string]
export type Mixed = {
  readonly name: string
  readonly vip: string
  readonly family: Short
  readonly protocol: 'tcp' | 'udp'
  readonly parts: readonly Part[]
}

const MEGABYTE = 1_000_000
const PARTS: Readonly<Record<Short, readonly Part[]>> = {
  v4: [
    ['local', 'local-v4'],
    ['nat', 'rs-a3'],
    ['dr', 'rs-a1'],
    ['ipip', 'rs-b1'],
    ['gre csum', 'rs-b2'],
    ['gue remcsum', 'rs-b3'],
    ['gue', 'rs-b4'],
  ],
  v6: [
    ['local', 'local-v6'],
    ['nat', 'rs-a4'],
    ['dr', 'rs-a2'],
    ['gue', 'rs-b1'],
    ['ipip', 'rs-b4'],
    ['gre csum', 'rs-b5'],
    ['gue remcsum', 'rs-b6'],
  ],
}

export const MIXED: readonly Mixed[] = (['v4', 'v6'] as const).flatMap((family, i) =>
  (['tcp', 'udp'] as const).map((protocol, j) => ({
    name: `mixed-${family}-${protocol}`,
    vip: vipOf(family, 230 + 2 * i + j),
    family,
    protocol,
    parts: PARTS[family],
  })),
)

export function mixedAsks(): Ask[] {
  return MIXED.map(({ name, vip, protocol, parts }) => ({
    name,
    vip,
    protocol,
    port: FIRST_PORT[protocol],
    members: parts.map(([form, realServer]) => memberOf(form, realServer)),
  }))
}

export async function proveMixed(lab: Lab, mixed: Mixed): Promise<MixedRow> {
  const { name, vip, parts, protocol } = mixed
  const n = parts.length
  const hosts = parts.map(([, server]) => hostOf(server)).toSorted()
  const said = parts.map(([form, server]) => `${hostOf(server)} by ${form}`).join(', ')
  const faults: string[] = []
  const hold = (what: string, answers: Histogram) => {
    const once = Object.values(answers).every((count) => count === 1)
    const names = Object.keys(answers).map((answer) => answer.replace(/:.*$/, ''))
    if (!once || names.toSorted().join(' ') !== hosts.join(' '))
      faults.push(`${what}: ${JSON.stringify(answers)}`)
  }
  if (protocol === 'udp') {
    const ask = { address: vip, port: FIRST_PORT.udp, n, timeoutMs: 4_000 }
    hold('datagrams', await lab.udp(CLIENT, ask))
  } else {
    const url = urlOf(vip)
    const large = { n, par: 2, timeoutMs: 30_000 }
    hold('requests', await lab.get(CLIENT, { url, n, par: 1, timeoutMs: 4_000 }))
    hold('megabytes up', await lab.get(CLIENT, { url, upload: MEGABYTE, ...large }))
    const down = urlOf(vip, FIRST_PORT.tcp, `/big=${MEGABYTE}`)
    hold('megabytes down', await lab.get(CLIENT, { url: down, ...large }))
  }
  return { name, text: `each of ${n} once: ${said}`, faults }
}
