/**
 * The seven kinds of intent, and for each its schema, its URL segment and its key in the fleet document.
 * Takes nothing; gives the tables that routes, store and CLI share, so that no code branches on a kind.
 */
import * as z from 'zod'
import { directorSchema } from './director.ts'
import { drainSchema } from './drain.ts'
import { overrideSchema } from './override.ts'
import { poolSchema } from './pool.ts'
import { realServerSchema } from './real-server.ts'
import { nameSchema } from './shared-fields.ts'
import { siteSchema } from './site.ts'
import { virtualServiceSchema } from './virtual-service.ts'

export const KINDS = [
  'site',
  'director',
  'real-server',
  'pool',
  'virtual-service',
  'override',
  'drain',
] as const
export type Kind = (typeof KINDS)[number]

/** Segment of the URL: `/v1/real-servers/rs-a1`. */
export const KIND_PATHS = {
  site: 'sites',
  director: 'directors',
  'real-server': 'real-servers',
  pool: 'pools',
  'virtual-service': 'virtual-services',
  override: 'overrides',
  drain: 'drains',
} as const satisfies Record<Kind, string>

/** Key in the fleet document and first segment of a problem's pointer. */
export const FLEET_KEYS = {
  site: 'sites',
  director: 'directors',
  'real-server': 'realServers',
  pool: 'pools',
  'virtual-service': 'virtualServices',
  override: 'overrides',
  drain: 'drains',
} as const satisfies Record<Kind, string>

/** What an operator writes for one object, without the name that is its key. */
export const BODY_SCHEMAS = {
  site: siteSchema,
  director: directorSchema,
  'real-server': realServerSchema,
  pool: poolSchema,
  'virtual-service': virtualServiceSchema,
  override: overrideSchema,
  drain: drainSchema,
} as const

/** The same with its name: what compile and store see. */
export const SPEC_SCHEMAS = {
  site: siteSchema.extend({ name: nameSchema }),
  director: directorSchema.extend({ name: nameSchema }),
  'real-server': realServerSchema.extend({ name: nameSchema }),
  pool: poolSchema.extend({ name: nameSchema }),
  'virtual-service': virtualServiceSchema.extend({ name: nameSchema }),
  override: overrideSchema.extend({ name: nameSchema }),
  drain: drainSchema.extend({ name: nameSchema }),
} as const

export type Spec<K extends Kind = Kind> = z.output<(typeof SPEC_SCHEMAS)[K]>
export type SiteSpec = Spec<'site'>
export type DirectorSpec = Spec<'director'>
export type RealServerSpec = Spec<'real-server'>
export type PoolSpec = Spec<'pool'>
export type VirtualServiceSpec = Spec<'virtual-service'>
export type OverrideSpec = Spec<'override'>
export type DrainSpec = Spec<'drain'>
