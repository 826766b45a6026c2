/** Events on the wire, and the filter that every way of reading them takes. */
import { z } from '@hono/zod-openapi'
import { nameSchema } from '../../intent/shared-fields.ts'
import {
  EVENT_KINDS,
  EVENT_SEVERITIES,
  type EventFilter,
  type EventKind,
} from '../../status/event.ts'

// Object.keys says string of what is known to be narrower.
const KIND_NAMES = Object.keys(EVENT_KINDS) as [EventKind, ...EventKind[]]
export const eventKindSchema = z.enum(KIND_NAMES)
export const eventSeveritySchema = z.enum(EVENT_SEVERITIES)

export const eventSchema = z
  .object({
    /** Grows by one with each event; `after` takes it. */
    id: z.int(),
    /** When it happened, by the clock of whoever saw it. */
    at: z.string(),
    recordedAt: z.string(),
    kind: eventKindSchema,
    severity: eventSeveritySchema,
    director: z.string().nullable(),
    site: z.string().nullable(),
    realServer: z.string().nullable(),
    virtualServices: z.array(z.string()),
    subject: z.string(),
    cause: z.string(),
    /** One line for people. */
    message: z.string(),
    detail: z.record(z.string(), z.unknown()),
  })
  .openapi('Event')

/** `kind` takes several, with commas. */
export const eventFilterQuery = {
  kind: z
    .string()
    .max(1_000)
    .transform((text, ctx) => {
      const parsed = z.array(eventKindSchema).min(1).safeParse(text.split(','))
      if (parsed.success) return parsed.data
      ctx.addIssue({ code: 'custom', message: `must be of ${KIND_NAMES.join(', ')}` })
      return z.NEVER
    })
    .optional(),
  director: nameSchema.optional(),
  virtualService: nameSchema.optional(),
  realServer: nameSchema.optional(),
  /** This one and worse. */
  severity: eventSeveritySchema.optional(),
  /** What happened then or later. */
  since: z.iso
    .datetime({ offset: true })
    .transform((text) => new Date(text))
    .optional(),
}

export const afterSchema = z
  .union([
    z.literal('latest'),
    z
      .string()
      .regex(/^\d{1,15}$/)
      .transform(Number),
  ])
  .optional()

export function filterOf(query: EventFilter): EventFilter {
  const { kind, director, virtualService, realServer, severity, since } = query
  return { kind, director, virtualService, realServer, severity, since }
}
