/**
 * Check: how directors find out whether the members of a pool answer. Discriminated by `kind`; what is common to
 * all kinds is when to ask and when to believe. Certificates and keys are named by their files on the director.
 */
import { DNS_RCODES, DNS_TYPES, portSchema } from '@lvs-fleet/contract'
import * as z from 'zod'

const HOUR_MS = 3_600_000

/** An absolute name of a file, in one spelling. */
const fileSchema = z
  .string()
  .max(1_024)
  .regex(/^(\/(?!\.{1,2}(\/|$))[^/\0]+)+$/, {
    error: 'must be an absolute path without . or .. in it',
  })
/** What stands in a header or in SNI: printable, no white space. */
const tokenSchema = z.string().regex(/^[\x21-\x7e]{1,253}$/, {
  error: 'must be 1 to 253 printable characters without white space',
})

const tlsSchema = z
  .strictObject({
    /** Sent as SNI, and the name that the certificate must bear; null = the address is checked, and no SNI sent. */
    serverName: tokenSchema.nullable().default(null),
    /** Chain, dates and name of the certificate. Off takes any. */
    verify: z.boolean().default(true),
    /** PEM file on the director with the authorities to trust; null = the public ones. */
    caFile: fileSchema.nullable().default(null),
    /** PEM files on the director: who the director says it is. Both or none. */
    certificateFile: fileSchema.nullable().default(null),
    keyFile: fileSchema.nullable().default(null),
  })
  .refine(({ certificateFile, keyFile }) => (certificateFile === null) === (keyFile === null), {
    error: 'needs certificateFile and keyFile, or neither of them',
  })

/** When to ask and when to believe. */
const commonFields = {
  /**
   * `path`: to the VIP, by the tunnel or route that IPVS takes to this real server, where the director has a mark for
   * it. `direct`: to the real server's own address. ICMP and scripts always go direct.
   */
  through: z.enum(['path', 'direct']).default('path'),
  /** Port to ask; null = the one that the real server gets clients' packets on. */
  port: portSchema.nullable().default(null),
  /** Between two probes of one real server, from start to start: 100 ms to an hour. */
  intervalMs: z.int().min(100).max(HOUR_MS).default(5_000),
  /** The same while it is down; null = `intervalMs`. */
  downIntervalMs: z.int().min(100).max(HOUR_MS).nullable().default(null),
  /** Each probe is early or late by at most this share of the interval. */
  jitterPercent: z.int().min(0).max(50).default(10),
  /** Until an answer must be whole, connecting included: 10 ms to a minute, and no more than an interval. */
  timeoutMs: z.int().min(10).max(60_000).default(2_000),
  /** Good answers in a row that make a real server up. */
  rise: z.int().min(1).max(100).default(2),
  /** Bad answers in a row that make it down. */
  fall: z.int().min(1).max(100).default(3),
  /** After a check began on a director, bad answers do not count for this long. Until something is known it counts as up. */
  graceMs: z.int().min(0).max(HOUR_MS).default(0),
  /** A real server that went down `downsMax` times within the window must then answer for `holdMs` before it is up; null = never. */
  damping: z
    .strictObject({
      downsMax: z.int().min(1).max(100).default(3),
      windowMs: z
        .int()
        .min(1_000)
        .max(24 * HOUR_MS)
        .default(300_000),
      holdMs: z
        .int()
        .min(1_000)
        .max(24 * HOUR_MS)
        .default(60_000),
    })
    .nullable()
    .prefault({}),
}

/** Bytes of a datagram: as text, or in hexadecimal digits. At most 512. */
const bytesSchema = z.union([
  z.strictObject({ text: z.string().max(512) }),
  z.strictObject({
    hex: z
      .string()
      .max(1_024)
      .regex(/^([0-9a-fA-F]{2})*$/),
  }),
])
export type CheckBytes = z.output<typeof bytesSchema>

/** Also where a text is of the right type: a union then says what its member says. */
const STATUS_ERROR = { error: 'must be a status from 100 to 599, or a range such as "200-399"' }
const STATUS_RANGE = /^([1-5]\d\d)-([1-5]\d\d)$/
const statusSchema = z.union(
  [
    z.int().min(100).max(599),
    z.string().refine((text) => {
      const match = STATUS_RANGE.exec(text)
      return match !== null && Number(match[1]) <= Number(match[2])
    }, STATUS_ERROR),
  ],
  STATUS_ERROR,
)

const httpFields = {
  /** HEAD has no body to look at. */
  method: z.enum(['GET', 'HEAD']).default('GET'),
  path: z
    .string()
    .max(2_048)
    .regex(/^\/[\x21-\x7e]*$/, {
      error: 'must begin with / and have no white space',
    })
    .default('/'),
  /** Header `host`; null = the address. */
  host: tokenSchema.nullable().default(null),
  /** Good status codes, single ones and ranges. Redirects are not followed. */
  statuses: z.array(statusSchema).min(1).max(32).default(['200-299']),
  /** Text that the first 64 KiB of the body must have. */
  bodyContains: z.string().min(1).max(1_024).nullable().default(null),
  /** The same as a regular expression of JavaScript, with a time limit; `bodyContains` costs less. */
  bodyMatches: z
    .string()
    .min(1)
    .max(1_024)
    .refine(isPattern, {
      error: 'is no regular expression',
    })
    .nullable()
    .default(null),
}

/** A domain name of at most 253 characters, its labels of at most 63; RFC 1035 section 2.3.4. */
const domainSchema = z
  .string()
  .max(254)
  .regex(/^([\x21-\x2d\x2f-\x7e]{1,63}(\.|$))+$|^\.$/, {
    error: 'must be a domain name',
  })

export const checkSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('tcp'), ...commonFields }),
    z.strictObject({ kind: z.literal('tls'), tls: tlsSchema.prefault({}), ...commonFields }),
    z.strictObject({ kind: z.literal('http'), ...httpFields, ...commonFields }),
    z.strictObject({
      kind: z.literal('https'),
      tls: tlsSchema.prefault({}),
      ...httpFields,
      ...commonFields,
    }),
    z.strictObject({
      kind: z.literal('grpc'),
      /** As grpc.health.v1 knows it; empty = the server as a whole. */
      service: z.string().max(253).default(''),
      authority: tokenSchema.nullable().default(null),
      /** Null = without TLS. */
      tls: tlsSchema.nullable().default(null),
      ...commonFields,
    }),
    z.strictObject({
      kind: z.literal('dns'),
      name: domainSchema,
      type: z.enum(DNS_TYPES).default('A'),
      rcode: z.enum(DNS_RCODES).default('NOERROR'),
      /** One of the answers must be this, written as in a zone file; null = the code alone counts. */
      answer: z.string().min(1).max(255).nullable().default(null),
      ...commonFields,
    }),
    z.strictObject({
      kind: z.literal('udp'),
      send: bytesSchema.default({ text: '' }),
      /** What the reply must begin with; null = any reply. */
      expect: bytesSchema.nullable().default(null),
      /** False: silence is good too, and only an ICMP error is bad. */
      replyRequired: z.boolean().default(true),
      ...commonFields,
    }),
    z.strictObject({ kind: z.literal('icmp'), ...commonFields }),
    z.strictObject({
      kind: z.literal('script'),
      /** File in the folder that the director's agent was started with (`--allow-scripts`). Without it nothing runs, and health is unknown. */
      path: fileSchema,
      args: z
        .array(
          z
            .string()
            .max(1_024)
            .regex(/^[^\0]*$/),
        )
        .max(32)
        .default([]),
      ...commonFields,
    }),
  ])
  .superRefine((check, ctx) => {
    const complain = (path: string, message: string) =>
      ctx.addIssue({ code: 'custom', path: [path], message })
    const shortest = Math.min(check.intervalMs, check.downIntervalMs ?? check.intervalMs)
    if (check.timeoutMs > shortest) {
      complain(
        'timeoutMs',
        `is longer than the interval of ${shortest} ms: one probe would meet the next`,
      )
    }
    if (check.kind === 'icmp' && check.port !== null) complain('port', 'has no meaning for icmp')
    if ((check.kind === 'http' || check.kind === 'https') && check.method === 'HEAD') {
      if (check.bodyContains !== null)
        complain('bodyContains', 'needs method GET: HEAD has no body')
      if (check.bodyMatches !== null) complain('bodyMatches', 'needs method GET: HEAD has no body')
    }
    if (check.kind === 'dns' && check.answer !== null && check.rcode !== 'NOERROR') {
      complain('answer', `cannot come with rcode ${check.rcode}: leave one of the two out`)
    }
    if (check.kind === 'udp' && check.expect !== null && !check.replyRequired) {
      complain('expect', 'needs replyRequired true')
    }
  })
export type CheckSpec = z.output<typeof checkSchema>

/** Ranges of `statuses`, sorted. */
export function statusRanges(
  entries: readonly (number | string)[],
): { from: number; to: number }[] {
  return entries
    .map((entry) => {
      if (typeof entry === 'number') return { from: entry, to: entry }
      const match = STATUS_RANGE.exec(entry)
      return { from: Number(match?.[1]), to: Number(match?.[2]) }
    })
    .toSorted((a, b) => a.from - b.from || a.to - b.to)
}

function isPattern(text: string): boolean {
  try {
    return new RegExp(text, 'u') instanceof RegExp
  } catch {
    return false
  }
}
