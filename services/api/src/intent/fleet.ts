/**
 * Fleet: the whole intent. Operators write it as one document, objects keyed by name; inside it is seven
 * sorted lists. Same content, same fleet, whatever the order it was written in.
 */
import * as z from 'zod'
import {
  BODY_SCHEMAS,
  FLEET_KEYS,
  KINDS,
  type DirectorSpec,
  type DrainSpec,
  type Kind,
  type OverrideSpec,
  type PoolSpec,
  type RealServerSpec,
  type SiteSpec,
  type Spec,
  type VirtualServiceSpec,
} from './kinds.ts'
import { nameSchema } from './shared-fields.ts'

export type Fleet = {
  readonly sites: readonly SiteSpec[]
  readonly directors: readonly DirectorSpec[]
  readonly realServers: readonly RealServerSpec[]
  readonly pools: readonly PoolSpec[]
  readonly virtualServices: readonly VirtualServiceSpec[]
  readonly overrides: readonly OverrideSpec[]
  readonly drains: readonly DrainSpec[]
}

export const EMPTY_FLEET: Fleet = {
  sites: [],
  directors: [],
  realServers: [],
  pools: [],
  virtualServices: [],
  overrides: [],
  drains: [],
}

/**
 * The document of `PUT /v1/fleet`: maps from name to body. Complete: what it leaves out is removed. Overrides and
 * drains are not in it: they are made at their moment, so that neither an older document nor a revision that comes back
 * may take them away or bring them back.
 */
export const fleetSchema = z.strictObject({
  sites: z.record(nameSchema, BODY_SCHEMAS.site).default({}),
  directors: z.record(nameSchema, BODY_SCHEMAS.director).default({}),
  realServers: z.record(nameSchema, BODY_SCHEMAS['real-server']).default({}),
  pools: z.record(nameSchema, BODY_SCHEMAS.pool).default({}),
  virtualServices: z.record(nameSchema, BODY_SCHEMAS['virtual-service']).default({}),
})
export type FleetDocument = z.output<typeof fleetSchema>

/** `beside`: what stands beside the document. */
export function fleetFromDocument(
  document: FleetDocument,
  beside: Partial<Pick<Fleet, 'overrides' | 'drains'>> = {},
): Fleet {
  return {
    sites: namedList(document.sites),
    directors: namedList(document.directors),
    realServers: namedList(document.realServers),
    pools: namedList(document.pools),
    virtualServices: namedList(document.virtualServices),
    overrides: beside.overrides ?? [],
    drains: beside.drains ?? [],
  }
}

/** The document as it would be written again: parses to the same fleet, but for what stands beside it. */
export function fleetToDocument(fleet: Fleet): Record<string, Record<string, unknown>> {
  const kinds = KINDS.filter((kind) => kind !== 'override' && kind !== 'drain')
  return Object.fromEntries(
    kinds.map((kind) => [
      FLEET_KEYS[kind],
      Object.fromEntries(objectsOf(fleet, kind).map((spec) => [spec.name, bodyToDocument(spec)])),
    ]),
  )
}

/** One object as an operator writes it, without its name; networks become text again. */
export function bodyToDocument(spec: Spec): Record<string, unknown> {
  const { name: _, ...body } = spec
  if (!('networks' in body)) return body
  return {
    ...body,
    networks: body.networks.map((network) => ({
      ...network,
      cidrs: network.cidrs.map(({ base, prefixLength }) => `${base}/${prefixLength}`),
    })),
  }
}

export function objectsOf(fleet: Fleet, kind: Kind): readonly Spec[] {
  return fleet[FLEET_KEYS[kind]]
}

/** The fleet with one object put in place of the one of its name, or added. */
export function withObject(fleet: Fleet, kind: Kind, spec: Spec): Fleet {
  const others = objectsOf(fleet, kind).filter((object) => object.name !== spec.name)
  return { ...fleet, [FLEET_KEYS[kind]]: [...others, spec].toSorted(byName) }
}

export function withoutObject(fleet: Fleet, kind: Kind, name: string): Fleet {
  return {
    ...fleet,
    [FLEET_KEYS[kind]]: objectsOf(fleet, kind).filter((object) => object.name !== name),
  }
}

function namedList<T extends object>(record: Record<string, T>): (T & { name: string })[] {
  return Object.entries(record)
    .map(([name, body]) => ({ ...body, name }))
    .toSorted(byName)
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}
