/** The route contract of explain: what is asked of one packet. What is said about it: contract/src/explain.ts. */
import { createRoute, z } from '@hono/zod-openapi'
import {
  firewallMarkSchema,
  ipSchema,
  packetExplanationSchema,
  portSchema,
  protocolSchema,
} from '@lvs-fleet/contract'
import { nameSchema } from '../../intent/shared-fields.ts'
import { json, problems } from '../contract.ts'

const numberText = z.string().regex(/^\d{1,10}$/, { error: 'must be a whole number' })

export const explainPacketContract = createRoute({
  method: 'get',
  path: '/v1/explain',
  tags: ['virtual-service'],
  request: {
    query: z.strictObject({
      director: nameSchema,
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
      packetExplanationSchema,
      'Which service takes a packet, how each destination is reached and why, and the hops',
    ),
    ...problems(404),
  },
})
