/**
 * Path MTU: the largest IP packet, in bytes, that goes from one site to another, and who says so. Takes sites; pure.
 * Within a site the smallest MTU of its networks counts, between sites also what either says of the path.
 */
import type { SiteSpec } from '../intent/kinds.ts'
import { DEFAULT_MTU } from '../intent/site.ts'

export type PathMtu = { readonly bytes: number; readonly because: string }

export function pathMtu(sites: ReadonlyMap<string, SiteSpec>, from: string, to: string): PathMtu {
  const within = (from === to ? [from] : [from, to]).flatMap((name) => networksOf(sites.get(name)))
  // Jumbo frames inside two sites say nothing of what lies between them.
  const all = from === to ? within : [...between(sites, from, to), ...within]
  const [first, ...rest] = all
  if (first !== undefined) return rest.reduce(smaller, first)
  return { bytes: DEFAULT_MTU, because: `site ${from} has no network: Ethernet's default` }
}

function networksOf(site: SiteSpec | undefined): PathMtu[] {
  return (site?.networks ?? []).map(({ name, mtu }) => ({
    bytes: mtu,
    because: `network ${name} of site ${site?.name ?? ''}`,
  }))
}

function between(sites: ReadonlyMap<string, SiteSpec>, from: string, to: string): PathMtu[] {
  const said = [
    { site: from, path: sites.get(from)?.paths.find((path) => path.to === to) },
    { site: to, path: sites.get(to)?.paths.find((path) => path.to === from) },
  ].flatMap(({ site, path }) =>
    path === undefined ? [] : [{ bytes: path.mtu, because: `path to ${path.to} of site ${site}` }],
  )
  if (said.length > 0) return said
  return [{ bytes: DEFAULT_MTU, because: `no path between ${from} and ${to} says otherwise` }]
}

function smaller(a: PathMtu, b: PathMtu): PathMtu {
  return b.bytes < a.bytes ? b : a
}
