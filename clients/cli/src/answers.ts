/** The parts of the API's answers that the CLI reads; it ignores what it does not know, so newer APIs work. */
import * as z from 'zod'

export const mutationSchema = z.object({
  revision: z.int(),
  changes: z.array(z.object({ change: z.string(), kind: z.string(), name: z.string() })),
  hosts: z.array(
    z.object({
      host: z.string(),
      ops: z.array(z.string()),
      shrink: z.object({ held: z.boolean(), detail: z.string() }).optional(),
    }),
  ),
  warnings: z.array(z.object({ pointer: z.string(), message: z.string() })).default([]),
})
export type Mutation = z.infer<typeof mutationSchema>

const verdictsSchema = z.record(z.string(), z.string())
const capabilitiesSchema = z.object({
  kernelRelease: z.string(),
  ipvs: z.string(),
  ipvsVersion: z.string().nullable(),
  connectionTableSize: z.int().nullable(),
  schedulers: verdictsSchema,
  tunnels: verdictsSchema,
  decapsulation: verdictsSchema,
  syncDaemon: z.string(),
  nftables: z.string(),
})

export const hostSchema = z.object({
  role: z.string(),
  name: z.string(),
  site: z.string(),
  enrolment: z.looseObject({}).nullable(),
  published: z.object({ generation: z.int() }).nullable(),
  applied: z.object({ generation: z.int() }).nullable(),
  conditions: z.array(z.object({ type: z.string(), status: z.boolean(), message: z.string() })),
  /** Absent from APIs before it: an older one is as good. */
  agent: z.object({ supported: z.boolean(), reason: z.string().nullable() }).nullish(),
  capabilities: capabilitiesSchema.nullable().default(null),
  paths: z
    .object({ narrowCount: z.int(), fittingCount: z.int(), unknownCount: z.int() })
    .nullable()
    .default(null),
})
export type Host = z.infer<typeof hostSchema>

export const hostListSchema = z.object({
  items: z.array(hostSchema),
  nextCursor: z.string().nullish(),
})
const hostFindingSchema = z.object({
  role: z.string(),
  name: z.string(),
  severity: z.string(),
  check: z.string(),
  object: z.string(),
  found: z.string(),
  symptom: z.string(),
  commands: z.array(z.string()),
})
export type HostFinding = z.infer<typeof hostFindingSchema>
export const findingListSchema = z.object({
  items: z.array(hostFindingSchema),
  nextCursor: z.string().nullish(),
})
const serverHealthSchema = z.object({
  realServer: z.string(),
  address: z.string(),
  port: z.int(),
  asks: z.string(),
  verdict: z.string(),
  message: z.string(),
})
export const healthListSchema = z.object({
  items: z.array(serverHealthSchema),
  nextCursor: z.string().nullish(),
})
const drainCounts = {
  destinations: z.int(),
  drained: z.int(),
  activeConnections: z.int(),
  inactiveConnections: z.int(),
  persistentConnections: z.int(),
}
export const drainStatusSchema = z.object({
  name: z.string(),
  target: z.string(),
  reason: z.string(),
  owner: z.string(),
  since: z.string(),
  deadline: z.string(),
  state: z.string(),
  message: z.string(),
  ...drainCounts,
  directors: z.array(
    z.object({
      director: z.string(),
      state: z.string(),
      ...drainCounts,
      remainingSeconds: z.int().nullable(),
      left: z.array(
        z.object({ service: z.string(), destination: z.string(), connections: z.int() }),
      ),
    }),
  ),
})
export type DrainStatus = z.infer<typeof drainStatusSchema>
export const drainListSchema = z.object({
  items: z.array(drainStatusSchema),
  nextCursor: z.string().nullish(),
})
export const itemListSchema = z.object({
  items: z.array(z.looseObject({ name: z.string() })),
  nextCursor: z.string().nullish(),
})
export const revisionListSchema = z.object({
  items: z.array(
    z.object({
      number: z.int(),
      at: z.string(),
      actor: z.string(),
      action: z.string(),
      summary: z.string(),
    }),
  ),
})
/** What a single mutation answers without dry run. */
export const writtenSchema = z.object({ revision: z.int() })
export const secretSchema = z.object({ id: z.string(), token: z.string(), expiresAt: z.string() })
export const eventSchema = z.looseObject({
  id: z.int(),
  at: z.string(),
  severity: z.string(),
  kind: z.string(),
  director: z.string().nullable(),
  message: z.string(),
})
export type FleetEvent = z.infer<typeof eventSchema>
export const eventListSchema = z.object({ items: z.array(eventSchema) })
const webhookSchema = z.looseObject({
  id: z.string(),
  name: z.string(),
  url: z.string(),
  kinds: z.array(z.string()).nullable(),
  severity: z.string(),
  status: z.string(),
  behind: z.int(),
  attempts: z.int(),
  lastError: z.string().nullable(),
})
export const webhookListSchema = z.object({ items: z.array(webhookSchema) })
export const newWebhookSchema = webhookSchema.extend({ secret: z.string() })

export const pendingListSchema = z.object({
  items: z.array(
    z.looseObject({
      id: z.string(),
      state: z.string(),
      role: z.string(),
      name: z.string(),
      site: z.string(),
      by: z.string(),
      evidence: z.record(z.string(), z.string()),
      createdAt: z.string(),
    }),
  ),
})
export const ruleListSchema = z.object({
  items: z.array(
    z.looseObject({
      name: z.string(),
      aws: z.looseObject({ arn: z.string() }),
      role: z.string(),
      hostName: z.string(),
      site: z.string(),
      approval: z.string(),
    }),
  ),
})
export const controllerSchema = z.object({
  signing: z.string(),
  keySerial: z.int(),
  keys: z.array(z.unknown()),
})
