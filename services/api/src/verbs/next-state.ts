/** The next published state of a host: one generation on, signed. */
import { STATE_FORMAT, type Manifest } from '@lvs-fleet/contract'
import { hostKey } from '../compile/compile.ts'
import type { Signer } from '../identity/signing-key.ts'
import type { PublishedState } from '../store/state-store.ts'
import type { HostChange } from './host-changes.ts'
import { objectKey } from './live-fleet.ts'
import { listsOf } from './shard-host.ts'

export type Made = {
  readonly revision: number
  readonly epoch: number
  readonly at: Date
  readonly objects: ReadonlyMap<string, { readonly id: string }>
  readonly allowShrink: boolean
}

/** The signed state of one host; one that leaves keeps its last, marked, so that its generation never goes back. */
export async function nextState(
  signer: Signer,
  change: HostChange,
  made: Made,
): Promise<PublishedState> {
  const { published: old, next } = change
  const { revision, at } = made
  if (next === undefined) {
    if (old === undefined) throw new Error(`${change.key} leaves but was never published`)
    return { ...old, revision, removedAt: at }
  }
  const { role, name, site, state } = next.host
  const objectId = made.objects.get(objectKey(role, name))?.id
  if (objectId === undefined) throw new Error(`${hostKey(role, name)} is compiled but not declared`)
  const generation = (old?.generation ?? 0) + 1
  const shards = next.shards.map((shard) => ({ name: shard.name, digest: shard.digest }))
  const allowed = change.shrink.held && made.allowShrink
  const manifest: Manifest = {
    format: STATE_FORMAT,
    host: { id: objectId, name, role, site },
    epoch: made.epoch,
    generation,
    shrinkAllowedGeneration: allowed ? generation : (old?.shrinkAllowedGeneration ?? 0),
    counts: {
      services: state.services.length,
      destinations: state.services.reduce((sum, service) => sum + service.destinations.length, 0),
    },
    lists: listsOf(shards).map((list) => ({ name: list.name, digest: list.digest })),
    digest: next.digest,
  }
  return {
    role,
    name,
    site,
    objectId,
    epoch: manifest.epoch,
    generation,
    digest: manifest.digest,
    shrinkAllowedGeneration: manifest.shrinkAllowedGeneration,
    serviceCount: manifest.counts.services,
    destinationCount: manifest.counts.destinations,
    jws: await signer.sign(manifest),
    shards,
    revision,
    publishedAt: at,
    removedAt: null,
  }
}
