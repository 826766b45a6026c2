/** What a mutation did, or would do, as the API tells it. */
import { z } from '@hono/zod-openapi'
import type { Published } from '../verbs/publish.ts'
import { problemDetail } from '../verbs/refusals.ts'

const detailSchema = z.object({
  pointer: z.string(),
  code: z.string(),
  message: z.string(),
  object: z.string().optional(),
})

export const outcomeSchema = z
  .object({
    dryRun: z.boolean(),
    /** The fleet's revision now. */
    revision: z.int(),
    changes: z.array(
      z.object({
        change: z.enum(['created', 'updated', 'deleted']),
        kind: z.string(),
        name: z.string(),
      }),
    ),
    /** The hosts that the change touches, each with what its agent will do. */
    hosts: z.array(
      z.object({
        host: z.string(),
        ops: z.array(z.string()),
        /** May be more than `ops` shows. */
        opCount: z.int(),
        shrink: z.object({
          held: z.boolean(),
          detail: z.string(),
          counts: z.object({
            servicesBefore: z.int(),
            servicesRemoved: z.int(),
            destinationsBefore: z.int(),
            destinationsRemoved: z.int(),
          }),
        }),
      }),
    ),
    warnings: z.array(detailSchema),
  })
  .openapi('Outcome')

export function outcomeOf(published: Published, dryRun: boolean): z.input<typeof outcomeSchema> {
  return {
    dryRun,
    revision: published.revision,
    changes: published.changes.map(({ change, kind, name }) => ({ change, kind, name })),
    hosts: published.hosts.map(({ key, ops, opCount, shrink }) => ({
      host: key,
      ops: [...ops],
      opCount,
      shrink,
    })),
    warnings: published.warnings.map(problemDetail),
  }
}
