/**
 * Rules of connection sync: who is with whom, and what must be equal in a pair and different between pairs.
 * Takes a fleet; gives problems. What mixed address families do to it is decided in compile.
 */
import { cidrContains } from '@lvs-fleet/contract'
import type { Fleet } from './fleet.ts'
import type { DirectorSpec } from './kinds.ts'
import { problem, type Problem } from './problem.ts'

type Synced = DirectorSpec & { readonly sync: NonNullable<DirectorSpec['sync']> }

export function syncProblems(fleet: Fleet): Problem[] {
  const synced = fleet.directors.filter(hasSync)
  return [
    ...synced.flatMap((director) => pairProblems(director, fleet)),
    ...synced.flatMap((director) => placeProblems(director, fleet)),
    ...idProblems(synced),
  ]
}

/** A peer without sync is not refused: the two may be written one after the other. */
function pairProblems(director: Synced, fleet: Fleet): Problem[] {
  const { name, sync } = director
  const at = (field: string) => ({ kind: 'director', name, path: ['sync', field] }) as const
  const peer = fleet.directors.find((other) => other.name === sync.with)
  if (peer === undefined) {
    return [problem(at('with'), 'unknown-name', `there is no director named ${sync.with}`)]
  }
  if (peer.name === name) {
    return [problem(at('with'), 'sync-pair', 'is the director itself: name the other of the pair')]
  }
  if (peer.site !== director.site) {
    const text = `${peer.name} is in site ${peer.site}, ${name} in ${director.site}: sync is multicast, which is not routed, and without authentication`
    return [problem(at('with'), 'sync-pair', text)]
  }
  if (!hasSync(peer)) return []
  if (peer.sync.with !== name) {
    const text = `${peer.name} is paired with ${peer.sync.with}: a director has one pair`
    return [problem(at('with'), 'sync-pair', text)]
  }
  return inPair(director, peer).map(([field, text]) => problem(at(field), 'sync-pair', text))
}

/** What of two that are paired does not fit. */
function inPair({ sync }: Synced, peer: Synced): [field: string, text: string][] {
  const wrong: [string, string][] = []
  for (const field of ['syncId', 'network', 'group', 'port', 'maxlen'] as const) {
    if (field === 'network' && (sync.network === null || peer.sync.network === null)) continue
    if (sync[field] === peer.sync[field]) continue
    wrong.push([
      field,
      `is ${sync[field]} here and ${peer.sync[field]} on ${peer.name}: it must be equal in the pair`,
    ])
  }
  if (sync.role !== 'both' && sync.role === peer.sync.role) {
    wrong.push([
      'role',
      `is ${sync.role} on ${peer.name} too: one sends and the other receives, or both do both`,
    ])
  }
  if ((sync.role === 'both') !== (peer.sync.role === 'both')) {
    wrong.push([
      'role',
      `is ${sync.role} here and ${peer.sync.role} on ${peer.name}: both do both, or one each`,
    ])
  }
  return wrong
}

/** The network must be one of the site, and the director in it. */
function placeProblems(director: Synced, fleet: Fleet): Problem[] {
  const { network } = director.sync
  if (network === null) return []
  const site = fleet.sites.find((one) => one.name === director.site)
  if (site === undefined) return []
  const at = { kind: 'director', name: director.name, path: ['sync', 'network'] } as const
  const cidrs = site.networks.find((one) => one.name === network)?.cidrs
  if (cidrs === undefined) {
    return [problem(at, 'unknown-name', `site ${site.name} has no network named ${network}`)]
  }
  if (director.addresses.some((own) => cidrs.some((cidr) => cidrContains(cidr, own)))) return []
  const text = `${director.name} has no address in network ${network}: add one, or name the interface`
  return [problem(at, 'sync-pair', text)]
}

/** Two pairs that hear each other with one id take each other's connections for their own. */
function idProblems(synced: readonly Synced[]): Problem[] {
  const problems: Problem[] = []
  const owners = new Map<string, Synced>()
  for (const director of synced) {
    const { syncId, group, port } = director.sync
    const key = `${director.site} ${group} ${port} ${syncId}`
    const first = owners.get(key)
    if (first === undefined) owners.set(key, director)
    else if (first.sync.with !== director.name && director.sync.with !== first.name) {
      const at = { kind: 'director', name: director.name, path: ['sync', 'syncId'] } as const
      const text = `${syncId} is the id of ${first.name} and ${first.sync.with} in the same site: pairs that hear each other need ids of their own`
      problems.push(problem(at, 'sync-id', text))
    }
  }
  return problems
}

function hasSync(director: DirectorSpec): director is Synced {
  return director.sync !== null
}
