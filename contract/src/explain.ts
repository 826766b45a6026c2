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
  forwarding: z.nullable(z.string()),
  address: z.nullable(z.string()),
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
  .check(z.meta({ description: 'Bytes, and who says so' }))

const outerSchema = z.object({
  /** The director's route picks one of these. */
  sources: z.array(z.string()),
  destination: z.string(),
  tunnel: z.string(),
  /** Of the outer header: 4, 41, 47, or 17 for UDP. */
  protocol: z.int(),
  port: z.nullable(z.int()),
  bytes: z.int(),
})

const hopSchema = z
  .object({
    role: z.enum(['client', 'router', 'director', 'real-server']),
    at: z.string(),
    does: z.string(),
    /** What leaves here; null = it has arrived. */
    sends: z.nullable(
      z.object({
        source: z.string(),
        destination: z.string(),
        outer: z.nullable(outerSchema),
        mtu: z.nullable(limitSchema),
        mss: z.nullable(limitSchema),
      }),
    ),
  })
  .check(z.meta({ id: 'Hop' }))
export type ExplainedHop = z.infer<typeof hopSchema>

const explainedDestinationSchema = z.object({
  realServer: z.string(),
  site: z.string(),
  forwarding: z.nullable(z.string()),
  address: z.nullable(z.string()),
  port: z.nullable(z.int()),
  why: z.string(),
  passedOver: z.array(passedOverSchema),
  weight: z.int(),
  /** Multiplied they are the weight. */
  weightFactors: z.array(z.object({ name: z.string(), value: z.number(), because: z.string() })),
  /** Of the pool's policy; null = it has none. */
  level: z.nullable(levelSchema),
  /** The weight in the kernel and its factors, where it is not intent's; from the director's last report. */
  reported: z.nullable(weighedDestinationSchema),
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
    port: z.nullable(z.int()),
    client: z.nullable(z.string()),
    virtualService: z.string(),
    service: z.string(),
    takenBecause: z.string(),
    scheduling: z.object({
      decidedBy: z.enum(['nobody', 'intent', 'turn', 'load', 'hash', 'order']),
      realServer: z.nullable(z.string()),
      text: z.string(),
    }),
    persistence: z.nullable(
      z.object({
        timeoutSeconds: z.int(),
        prefixLength: z.int(),
        engine: z.nullable(z.string()),
        together: z.nullable(z.string()),
        text: z.string(),
      }),
    ),
    destinations: z.array(explainedDestinationSchema),
    cautions: z.array(z.string()),
  })
  .check(z.meta({ id: 'PacketExplanation' }))
export type PacketExplanation = z.infer<typeof packetExplanationSchema>
