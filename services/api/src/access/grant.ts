/**
 * Grant: what an operator's credential allows: a role, and the sites and labels that it is bound to. Pure. Also says
 * which grants one may hand on: never more than one's own.
 */
import * as z from 'zod'
import { labelsSchema, nameSchema } from '../intent/shared-fields.ts'

/**
 * `viewer` reads. `operator` changes intent and lets hosts in. `site-operator` does so within its sites and labels.
 * `enroller` lets hosts of its sites in and sees nothing else. `admin` may do all, API keys and epochs too.
 */
export const OPERATOR_ROLES = ['admin', 'operator', 'site-operator', 'enroller', 'viewer'] as const
export type OperatorRole = (typeof OPERATOR_ROLES)[number]

/** Where a role may change things; null = everywhere. */
export type Scope = {
  /** At least one; null = all sites. */
  readonly sites: readonly string[] | null
  /** What is changed must have all of these. */
  readonly labels: Readonly<Record<string, string>> | null
}

export type Grant = { readonly role: OperatorRole } & Scope

/** Roles that mean nothing without a scope, and those that have none. */
const SCOPED: Readonly<Record<OperatorRole, boolean>> = {
  admin: false,
  operator: false,
  'site-operator': true,
  enroller: true,
  viewer: false,
}

export const grantFields = {
  role: z.enum(OPERATOR_ROLES),
  /** Of `site-operator` and `enroller`; null = all. */
  sites: z.array(nameSchema).min(1).max(256).nullable().default(null),
  /** Of `site-operator`: only what has these labels. */
  labels: labelsSchema
    .unwrap()
    .refine((labels) => Object.keys(labels).length > 0, { error: 'names no label' })
    .nullable()
    .default(null),
} as const

/** What is wrong with a grant that parsed; undefined when nothing is. */
export function grantProblem(
  grant: Grant,
): { field: 'sites' | 'labels'; message: string } | undefined {
  const { role, sites, labels } = grant
  if (!SCOPED[role]) {
    if (sites !== null) return { field: 'sites', message: `says nothing where the role is ${role}` }
    if (labels !== null)
      return { field: 'labels', message: `says nothing where the role is ${role}` }
    return undefined
  }
  if (role === 'enroller' && labels !== null)
    return {
      field: 'labels',
      message: 'says nothing where the role is enroller: a new host has none',
    }
  if (sites === null && labels === null)
    return { field: 'sites', message: `is needed where the role is ${role}` }
  return undefined
}

/** The scope of a grant; null when it may change everything that its role may. */
export function scopeOf(grant: Grant): Scope | null {
  return SCOPED[grant.role] ? { sites: grant.sites, labels: grant.labels } : null
}

const HANDS_ON: Readonly<Record<OperatorRole, readonly OperatorRole[]>> = {
  admin: OPERATOR_ROLES,
  operator: ['operator', 'site-operator', 'enroller', 'viewer'],
  'site-operator': ['site-operator', 'enroller'],
  enroller: [],
  viewer: [],
}

/** Whether `own` allows everything that `wanted` would. */
export function covers(own: Grant, wanted: Grant): boolean {
  if (!HANDS_ON[own.role].includes(wanted.role)) return false
  const scope = scopeOf(own)
  return scope === null || isWithin(scope, wanted)
}

function isWithin(outer: Scope, inner: Scope): boolean {
  const { sites, labels } = outer
  const sitesFit = sites === null || (inner.sites?.every((site) => sites.includes(site)) ?? false)
  const labelsFit = Object.entries(labels ?? {}).every(
    ([key, value]) => inner.labels?.[key] === value,
  )
  return sitesFit && labelsFit
}

/** Whether hosts of a site may be let in and put out: where labels narrow a scope nobody is, as a new host has none. */
export function mayEnrol(scope: Scope | null, site: string): boolean {
  if (scope === null) return true
  return scope.labels === null && (scope.sites === null || scope.sites.includes(site))
}
