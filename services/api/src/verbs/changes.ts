/** What a mutation changes: two fleets held against each other, as rows to write and as changes to tell. Pure. */
import { randomUUID } from 'node:crypto'
import { sameJson } from '@lvs-fleet/contract'
import { bodyToDocument, objectsOf, type Fleet } from '../intent/fleet.ts'
import { KINDS, type Kind, type Spec } from '../intent/kinds.ts'
import type { Change, StoredObject } from '../store/intent-store.ts'
import { objectKey, type Snapshot } from './live-fleet.ts'

export type IntentDiff = {
  readonly changes: readonly Change[]
  readonly ended: readonly StoredObject[]
  readonly standing: readonly StoredObject[]
}

/** `revision` and `at` go into the rows that are new. */
export function diffIntent(
  held: Snapshot,
  next: Fleet,
  made: { readonly revision: number; readonly at: Date },
): IntentDiff {
  const changes: Change[] = []
  const ended: StoredObject[] = []
  const standing: StoredObject[] = []
  for (const kind of KINDS) {
    const names = new Set<string>()
    for (const spec of objectsOf(next, kind)) {
      names.add(spec.name)
      const old = held.objects.get(objectKey(kind, spec.name))
      if (old !== undefined && sameJson(old.spec, spec)) continue
      changes.push(changeOf(kind, old?.spec, spec))
      if (old !== undefined) ended.push(old)
      standing.push({
        id: old?.id ?? randomUUID(),
        kind,
        name: spec.name,
        version: (old?.version ?? 0) + 1,
        revision: made.revision,
        createdAt: old?.createdAt ?? made.at,
        updatedAt: made.at,
        spec,
      })
    }
    for (const old of held.objects.values()) {
      if (old.kind !== kind || names.has(old.name)) continue
      changes.push(changeOf(kind, old.spec, undefined))
      ended.push(old)
    }
  }
  return { changes, ended, standing }
}

/** The current objects with a diff carried out. */
export function applyDiff(held: Snapshot, diff: IntentDiff): Map<string, StoredObject> {
  const objects = new Map(held.objects)
  for (const { kind, name } of diff.ended) objects.delete(objectKey(kind, name))
  for (const object of diff.standing) objects.set(objectKey(object.kind, object.name), object)
  return objects
}

/** `created site site-a, pool web; deleted director dir-b`, shortened. */
export function summarize(changes: readonly Change[]): string {
  const parts: string[] = []
  for (const change of ['created', 'updated', 'deleted'] as const) {
    const names = changes
      .filter((one) => one.change === change)
      .map(({ kind, name }) => `${kind} ${name}`)
    if (names.length === 0) continue
    const more = names.length > 5 ? ` and ${names.length - 5} more` : ''
    parts.push(`${change} ${names.slice(0, 5).join(', ')}${more}`)
  }
  return parts.join('; ')
}

function changeOf(kind: Kind, before: Spec | undefined, after: Spec | undefined): Change {
  return {
    change: before === undefined ? 'created' : after === undefined ? 'deleted' : 'updated',
    kind,
    name: (after ?? before)?.name ?? '',
    ...(before === undefined ? {} : { before: bodyToDocument(before) }),
    ...(after === undefined ? {} : { after: bodyToDocument(after) }),
  }
}
