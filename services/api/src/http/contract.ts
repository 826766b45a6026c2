/** Parts that route contracts share: the problem document, preconditions, dry run, pages. */
import { z } from '@hono/zod-openapi'
import type { ErrorStatus } from '../errors.ts'
import type { Precondition } from '../verbs/preconditions.ts'

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    /** From a closed list. */
    code: z.string(),
    requestId: z.string(),
    errors: z
      .array(
        z.object({
          pointer: z.string(),
          code: z.string(),
          message: z.string(),
          object: z.string().optional(),
        }),
      )
      .optional(),
  })
  .openapi('Problem')

const PROBLEM_TEXT: Readonly<Record<ErrorStatus, string>> = {
  400: 'Malformed request',
  401: 'No valid credential',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  410: 'No longer kept',
  412: 'Precondition failed',
  413: 'Body too large',
  415: 'Body is not JSON',
  422: 'Not valid',
  426: 'The agent is too old or too new',
  428: 'Precondition required',
  429: 'Too many requests',
  500: 'Mistake of the server',
  501: 'Not offered by this installation',
  503: 'The database or AWS does not answer, or too much is waiting',
}

/** Every route behind a credential can answer these. */
const EVERYWHERE = [400, 401, 403, 429, 503] as const

export function problems(...statuses: readonly ErrorStatus[]) {
  const content = { 'application/problem+json': { schema: problemSchema } }
  return Object.fromEntries(
    [...EVERYWHERE, ...statuses].map((status) => [
      status,
      { description: PROBLEM_TEXT[status], content },
    ]),
  )
}

export function json<T extends z.ZodType>(schema: T, description: string) {
  return { description, content: { 'application/json': { schema } } }
}

export function jsonBody<T extends z.ZodType>(schema: T) {
  return { required: true, content: { 'application/json': { schema } } }
}

const flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((text) => text === 'true')

/** Of every mutation. Strict: a misspelt `dryRun` must not write. */
export const writeQuery = { dryRun: flag, allowShrink: flag }
export const forceQuery = { force: flag }

export const revisionNumberSchema = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
export const limitSchema = z.coerce.number().int().min(1).max(1_000).default(100)

export const ifMatchHeader = z.object({ 'if-match': z.string().max(1_000).optional() })
export const preconditionHeaders = z.object({
  'if-match': z.string().max(1_000).optional(),
  'if-none-match': z.string().max(1_000).optional(),
})

/** ETags without quotes and without `W/`, which compressing proxies add. */
export function parseEtags(header: string | undefined): string[] | undefined {
  if (header === undefined || header.trim() === '') return undefined
  return header.split(',').map((part) =>
    part
      .trim()
      .replace(/^W\//, '')
      .replace(/^"(.*)"$/, '$1'),
  )
}

export function parsePrecondition(
  headers: {
    readonly 'if-match'?: string | undefined
    readonly 'if-none-match'?: string | undefined
  },
  force: boolean,
  bodyVersion: unknown,
): Precondition {
  const fromBody = typeof bodyVersion === 'number' ? [String(bodyVersion)] : undefined
  return {
    ifMatch: parseEtags(headers['if-match']) ?? fromBody,
    ifNoneMatch: parseEtags(headers['if-none-match'])?.includes('*') ?? false,
    force,
  }
}

/** Pages go by name; the cursor hides that. */
export function encodeCursor(name: string): string {
  return Buffer.from(name).toString('base64url')
}

export const cursorSchema = z
  .string()
  .max(200)
  .transform((text) => Buffer.from(text, 'base64url').toString())

export function page<T>(
  sorted: readonly T[],
  keyOf: (item: T) => string,
  query: { readonly limit: number; readonly cursor?: string | undefined },
): { items: T[]; nextCursor: string | null } {
  const { limit, cursor } = query
  const rest = cursor === undefined ? sorted : sorted.filter((item) => keyOf(item) > cursor)
  const items = rest.slice(0, limit)
  const last = items.at(-1)
  return {
    items,
    nextCursor: rest.length > limit && last !== undefined ? encodeCursor(keyOf(last)) : null,
  }
}
