/**
 * What explain answers: how each director reaches each real server of a virtual service, and everything that happens to one
 * packet. The API writes it, the CLI reads it; everything but names and numbers is text for people.
 */
import * as z from 'zod'
import { levelSchema, weighedDestinationSchema } from './policy.ts'

/** A forwarding method that was not chosen, and why not. */
const passedOverSchema = z.object({ method: z.string(), reason: z.string() })

/** One real server as one director sees it. */
const routeChoiceSchema = z.object({
  director: z.string(),
  service: z.string(),
  realServer: z.string(),
  realServerSite: z.string(),
  /** Null = none is possible. */
  forwarding: z.string().nullable(),
  address: z.string().nullable(),
  port: z.int(),
  weight: z.int(),
  weightReasons: z.array(z.string()),
  why: z.string(),
  passedOver: z.array(passedOverSchema),
})

export const serviceExplanationSchema = z.object({
  name: z.string(),
  revision: z.int(),
  choices: z.array(routeChoiceSchema),
})

const limitSchema = z
  .object({ bytes: z.int(), because: z.string() })
  .describe('Bytes, and who says so')

const outerSchema = z.object({
  /** The director's route picks one of these. */
  sources: z.array(z.string()),
  destination: z.string(),
  tunnel: z.string(),
  /** Of the outer header: 4, 41, 47, or 17 for UDP. */
  protocol: z.int(),
  port: z.int().nullable(),
  bytes: z.int(),
})

const hopSchema = z
  .object({
    role: z.enum(['client', 'router', 'director', 'real-server']),
    at: z.string(),
    does: z.string(),
    /** What leaves here; null = it has arrived. */
    sends: z
      .object({
        source: z.string(),
        destination: z.string(),
        outer: outerSchema.nullable(),
        mtu: limitSchema.nullable(),
        mss: limitSchema.nullable(),
      })
      .nullable(),
  })
  .meta({ id: 'Hop' })
export type ExplainedHop = z.infer<typeof hopSchema>

const explainedDestinationSchema = z.object({
  realServer: z.string(),
  site: z.string(),
  forwarding: z.string().nullable(),
  address: z.string().nullable(),
  port: z.int().nullable(),
  why: z.string(),
  passedOver: z.array(passedOverSchema),
  weight: z.int(),
  /** Multiplied they are the weight. */
  weightFactors: z.array(z.object({ name: z.string(), value: z.number(), because: z.string() })),
  /** Of the pool's policy; null = it has none. */
  level: levelSchema.nullable(),
  /** The weight in the kernel and its factors, where it is not intent's; from the director's last report. */
  reported: weighedDestinationSchema.nullable(),
  path: z.array(hopSchema),
  cautions: z.array(z.string()),
})
export type ExplainedDestination = z.infer<typeof explainedDestinationSchema>

export const packetExplanationSchema = z
  .object({
    revision: z.int(),
    director: z.string(),
    vip: z.string(),
    protocol: z.string(),
    port: z.int().nullable(),
    client: z.string().nullable(),
    virtualService: z.string(),
    service: z.string(),
    takenBecause: z.string(),
    scheduling: z.object({
      decidedBy: z.enum(['nobody', 'intent', 'turn', 'load', 'hash', 'order']),
      realServer: z.string().nullable(),
      text: z.string(),
    }),
    persistence: z
      .object({
        timeoutSeconds: z.int(),
        prefixLength: z.int(),
        engine: z.string().nullable(),
        together: z.string().nullable(),
        text: z.string(),
      })
      .nullable(),
    destinations: z.array(explainedDestinationSchema),
    cautions: z.array(z.string()),
  })
  .meta({ id: 'PacketExplanation' })
export type PacketExplanation = z.infer<typeof packetExplanationSchema>
