/**
 * Health checks as a director carries them out: what is asked, of whom, by which way, how often, and when an answer
 * turns into a verdict. One check serves every destination with the same real server, port, settings and way.
 */
import * as z from 'zod'
import { firewallMarkSchema, ipSchema, portSchema } from './ipvs.ts'
import { intBetween, listUpTo, naturalSchema, positiveSchema, textUpTo } from './shapes.ts'

/** TLS of a check. Files are named, never carried: keys stay on the director. */
export const checkTlsSchema = z.object({
  /** Name in SNI, and the one that the certificate must bear when `verify` is on; null = the address, and no SNI. */
  serverName: z.nullable(z.string()),
  /** Off = any certificate will do, also an expired one. */
  verify: z.boolean(),
  /** PEM files on the director. Null CA = the public ones. */
  caFile: z.nullable(z.string()),
  certificateFile: z.nullable(z.string()),
  keyFile: z.nullable(z.string()),
})
export type CheckTls = z.infer<typeof checkTlsSchema>

/** Types of records whose data can be compared; RFC 1035, RFC 2782, RFC 3596. */
export const DNS_TYPES = ['A', 'AAAA', 'CNAME', 'MX', 'NS', 'PTR', 'SOA', 'SRV', 'TXT'] as const
/** RCODEs 0 to 5, RFC 1035 section 4.1.1. */
export const DNS_RCODES = [
  'NOERROR',
  'FORMERR',
  'SERVFAIL',
  'NXDOMAIN',
  'NOTIMP',
  'REFUSED',
] as const

/** What is asked, and which answer is good. */
export const checkProbeSchema = z.discriminatedUnion('kind', [
  /** The handshake of TCP. */
  z.object({ kind: z.literal('tcp') }),
  /** The handshake of TLS. */
  z.object({ kind: z.literal('tls'), tls: checkTlsSchema }),
  /** HTTP/1.1; with `tls` it is HTTPS. */
  z.object({
    kind: z.literal('http'),
    method: z.enum(['GET', 'HEAD']),
    path: z.string(),
    /** Header `host`; null = the address. */
    host: z.nullable(z.string()),
    /** Good status codes. */
    statuses: z.array(z.object({ from: z.int(), to: z.int() })),
    /** Text that the first 64 KiB of the body must have. */
    bodyContains: z.nullable(z.string()),
    /** The same as a regular expression of JavaScript. */
    bodyMatches: z.nullable(z.string()),
    tls: z.nullable(checkTlsSchema),
  }),
  /** grpc.health.v1.Health/Check over HTTP/2; good is SERVING. */
  z.object({
    kind: z.literal('grpc'),
    /** Empty = the server as a whole. */
    service: z.string(),
    /** Pseudo-header `:authority`; null = the address. */
    authority: z.nullable(z.string()),
    tls: z.nullable(checkTlsSchema),
  }),
  /** One question over UDP, over TCP too when the answer is cut. */
  z.object({
    kind: z.literal('dns'),
    name: z.string(),
    type: z.enum(DNS_TYPES),
    rcode: z.enum(DNS_RCODES),
    /** One of the answers must be this; null = any, or none. */
    answer: z.nullable(z.string()),
  }),
  z.object({
    kind: z.literal('udp'),
    /** Bytes of the datagram, base64. */
    send: z.string(),
    /** Bytes that the reply must begin with, base64; null = any reply. */
    expect: z.nullable(z.string()),
    /** False = silence is good too: only an ICMP error is bad. */
    replyRequired: z.boolean(),
  }),
  /** One echo. */
  z.object({ kind: z.literal('icmp') }),
  /** An operator's program on the director: exit 0 is good. Runs only where the host allows it. */
  z.object({ kind: z.literal('script'), path: z.string(), args: z.array(z.string()) }),
])
export type CheckProbe = z.infer<typeof checkProbeSchema>
export type CheckKind = CheckProbe['kind']

/** By which way a probe goes. */
export const checkWaySchema = z.discriminatedUnion('is', [
  /** To the real server's own address, by the director's routes. */
  z.object({ is: z.literal('direct') }),
  /** To the VIP with a mark, which IPVS forwards to this one destination as it forwards clients. */
  z.object({
    is: z.literal('path'),
    mark: firewallMarkSchema,
    vip: ipSchema,
    port: intBetween(0, 65_535),
    /** The director's own address: never a VIP, to which replies would not return. */
    source: ipSchema,
  }),
])
export type CheckWay = z.infer<typeof checkWaySchema>

/** When a check goes to and fro, it must stay good for a while before it counts. */
export const checkDampingSchema = z.object({
  /** This many times down within the window make a recovery wait. */
  downsMax: positiveSchema,
  windowMs: positiveSchema,
  /** How long it must then stay good. */
  holdMs: positiveSchema,
})

export const checkStateSchema = z.object({
  /** Hash of everything below: whatever changes makes it another check. */
  key: textUpTo(32),
  probe: checkProbeSchema,
  realServer: z.string(),
  /** The real server's own address. */
  address: ipSchema,
  /** 0 where the kind knows no port. */
  port: z.union([portSchema, z.literal(0)]),
  way: checkWaySchema,
  intervalMs: z.int().check(z.gte(100)),
  /** The interval while it is down. */
  downIntervalMs: z.int().check(z.gte(100)),
  /** Each probe comes this much earlier or later at most. */
  jitterPercent: intBetween(0, 50),
  timeoutMs: z.int().check(z.gte(10)),
  /** Good answers in a row until it is up. */
  rise: positiveSchema,
  /** Bad answers in a row until it is down. */
  fall: positiveSchema,
  /** Bad answers so soon after the check began do not count. */
  graceMs: naturalSchema,
  damping: z.nullable(checkDampingSchema),
})
export type CheckState = z.infer<typeof checkStateSchema>

/** `held` = it answers, but went down so often that it must prove itself first: treated as down. */
export const HEALTH_STATES = ['up', 'down', 'held', 'unknown'] as const
export const healthStateSchema = z.enum(HEALTH_STATES)
export type HealthVerdict = z.infer<typeof healthStateSchema>

/**
 * What is broken: `server-down`, the real server itself; `path-down`, it answers at its own address, but not by the
 * way that clients' packets take; `unreachable`, silence, and nothing that tells the two apart.
 */
export const HEALTH_CLASSES = ['server-down', 'path-down', 'unreachable'] as const
export const healthClassSchema = z.enum(HEALTH_CLASSES)
export type HealthClass = z.infer<typeof healthClassSchema>

/** How many checks and events one report carries at most; troubles first, newest events. */
export const HEALTH_LIST_MAX = 256
export const HEALTH_EVENTS_MAX = 32
export const HEALTH_DETAIL_MAX = 200

const checkRefSchema = z.object({
  key: textUpTo(32),
  kind: textUpTo(20),
  realServer: textUpTo(63),
  address: ipSchema,
  port: z.int(),
})
export type CheckRef = z.infer<typeof checkRefSchema>

export const checkHealthSchema = z.object({
  ...checkRefSchema.shape,
  state: healthStateSchema,
  /** Null while it is up or unknown. */
  class: z.nullable(healthClassSchema),
  since: z.string(),
  /** What the last probe said: `200 OK`, `connection refused`, `cannot run: …`. */
  detail: textUpTo(HEALTH_DETAIL_MAX),
  /** Of the last good answer; null until there was one. */
  latencyMs: z.nullable(z.number().check(z.gte(0))),
})
export type CheckHealth = z.infer<typeof checkHealthSchema>

/** One change of health; the director is the host that reports it. */
export const healthEventSchema = z.object({
  ...checkRefSchema.shape,
  at: z.string(),
  from: healthStateSchema,
  to: healthStateSchema,
  class: z.nullable(healthClassSchema),
  cause: textUpTo(HEALTH_DETAIL_MAX),
})
export type HealthEvent = z.infer<typeof healthEventSchema>

export const healthReportSchema = z.object({
  counts: z.object({ up: z.int(), down: z.int(), held: z.int(), unknown: z.int() }),
  /** What is not up comes first. */
  checks: listUpTo(checkHealthSchema, HEALTH_LIST_MAX),
  /** Oldest first. */
  events: listUpTo(healthEventSchema, HEALTH_EVENTS_MAX),
})
export type HealthReport = z.infer<typeof healthReportSchema>

/** `http://10.1.0.11:80/health`, `tcp 10.1.0.11:443`: one check in a line. */
export function describeCheck(
  check: Pick<CheckState, 'probe' | 'address' | 'port' | 'way'>,
): string {
  const { probe, address, port, way } = check
  const host = address.includes(':') ? `[${address}]` : address
  const endpoint = port === 0 ? address : `${host}:${port}`
  const through = way.is === 'path' ? ` through ${way.vip}` : ''
  if (probe.kind !== 'http') return `${probe.kind} ${endpoint}${through}`
  return `${probe.tls === null ? 'http' : 'https'}://${endpoint}${probe.path}${through}`
}

/** What the health of a destination is, from those of its checks: the worst of them. `unknown` counts as up. */
export function healthOf(
  destination: { readonly checks?: readonly string[] | undefined },
  results: ReadonlyMap<string, CheckHealth>,
): CheckHealth | undefined {
  let worst: CheckHealth | undefined
  for (const key of destination.checks ?? []) {
    const health = results.get(key)
    if (health === undefined) continue
    if (worst === undefined || BADNESS[health.state] > BADNESS[worst.state]) worst = health
  }
  return worst
}

const BADNESS: Readonly<Record<HealthVerdict, number>> = { up: 0, unknown: 1, held: 2, down: 3 }
