/** Objects of one kind by name, filtered. Pure. */
import type { Kind, Spec } from '../intent/kinds.ts'
import type { StoredObject } from '../store/intent-store.ts'
import type { Snapshot } from './live-fleet.ts'

export type ObjectFilter = {
  /** Prefix. */
  readonly name?: string | undefined
  /** `key=value`, all of them. */
  readonly label?: readonly string[] | undefined
  readonly site?: string | undefined
}

export function listObjects(snapshot: Snapshot, kind: Kind, filter: ObjectFilter): StoredObject[] {
  const objects: StoredObject[] = []
  for (const object of snapshot.objects.values()) {
    if (object.kind === kind && matches(object.spec, filter)) objects.push(object)
  }
  return objects.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function matches(spec: Spec, { name, label, site }: ObjectFilter): boolean {
  if (name !== undefined && !spec.name.startsWith(name)) return false
  if (site !== undefined && !sitesOf(spec).includes(site)) return false
  return (label ?? []).every((pair) => {
    const cut = pair.indexOf('=')
    return labelsOf(spec)[pair.slice(0, cut)] === pair.slice(cut + 1)
  })
}

function sitesOf(spec: Spec): readonly string[] {
  if ('site' in spec) return spec.site === null ? [] : [spec.site]
  return 'carriedBy' in spec ? spec.carriedBy.sites : []
}

function labelsOf(spec: Spec): Readonly<Record<string, string>> {
  return 'labels' in spec ? spec.labels : {}
}
