/** The route contract of explain: what is asked of one packet, and everything that is said about it. */
import { createRoute, z } from '@hono/zod-openapi'
import {
  firewallMarkSchema,
  ipSchema,
  levelSchema,
  portSchema,
  protocolSchema,
  weighedDestinationSchema,
} from '@lvs-fleet/contract'
import { json, problems } from '../contract.ts'

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
  .openapi('Hop')

const destinationSchema = z.object({
  realServer: z.string(),
  site: z.string(),
  forwarding: z.string().nullable(),
  address: z.string().nullable(),
  port: z.int().nullable(),
  why: z.string(),
  passedOver: z.array(z.object({ method: z.string(), reason: z.string() })),
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

const explanationSchema = z
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
    destinations: z.array(destinationSchema),
    cautions: z.array(z.string()),
  })
  .openapi('PacketExplanation')
export type PacketExplanationBody = z.input<typeof explanationSchema>

const numberText = z.string().regex(/^\d{1,10}$/, { error: 'must be a whole number' })

export const explainPacketContract = createRoute({
  method: 'get',
  path: '/v1/explain',
  tags: ['virtual-service'],
  request: {
    query: z.strictObject({
      director: z.string().max(63),
      vip: ipSchema,
      protocol: protocolSchema.optional(),
      port: numberText.transform(Number).pipe(portSchema).optional(),
      /** Instead of protocol and port. */
      firewallMark: numberText.transform(Number).pipe(firewallMarkSchema).optional(),
      /** Address of the one who sends. */
      client: ipSchema.optional(),
    }),
  },
  responses: {
    200: json(
      explanationSchema,
      'Which service takes a packet, how each destination is reached and why, and the hops',
    ),
    ...problems(404),
  },
})
