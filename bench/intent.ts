/**
 * Intent whose kernel table is large and whose document is small: virtual services of 50 VIPs and 10 ports
 * on one pool of ten, and beside them one small virtual service on a pool of its own, whose weight is changed.
 */
import { WIDTH, type Size } from './size.ts'

export const SITE = 'b'
export const SMALL_POOL = 'small'
export const WIDE_POOL = 'wide'
/** More than 16 would become one firewall-mark service. */
const PORTS = 10
const VIPS = 50

export function standingIntent(director: string, size: Size): unknown {
  const carriedBy = { directors: [director] }
  const common = { scheduler: 'wrr', forwarding: 'dr', vipDelivery: 'external', carriedBy }
  const wide = range(size / (VIPS * PORTS)).map((block) => [
    `wide-${block}`,
    {
      ...common,
      pool: WIDE_POOL,
      vips: range(VIPS).map((n) => `10.3.${block}.${n + 1}`),
      ports: range(PORTS).map((n) => 1_000 + n),
    },
  ])
  return {
    sites: { [SITE]: { networks: [{ name: 'servers', cidrs: ['10.2.0.0/24'] }] } },
    directors: { [director]: { site: SITE, addresses: ['10.2.0.10'] } },
    realServers: Object.fromEntries(
      realServers().map((name, n) => [name, { site: SITE, addresses: [`10.2.0.${100 + n}`] }]),
    ),
    pools: { [WIDE_POOL]: { members: membersAt(100) }, [SMALL_POOL]: { members: membersAt(100) } },
    virtualServices: {
      ...Object.fromEntries(wide),
      small: { ...common, pool: SMALL_POOL, vips: ['10.3.200.1'], ports: [80] },
    },
  }
}

/** Ten members; the first with `weight`. */
export function members(weight: number): readonly unknown[] {
  return realServers().map((realServer, n) => ({ realServer, weight: n === 0 ? weight : 100 }))
}

/** Ten members of one weight. */
export function membersAt(weight: number): readonly unknown[] {
  return realServers().map((realServer) => ({ realServer, weight }))
}

function realServers(): string[] {
  return range(WIDTH).map((n) => `rs-${n}`)
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n)
}
