/** Requests and dollars of a month, from what was counted of one agent. Pure. */
import * as z from 'zod'
import { PRICES } from './prices.ts'

const kindSchema = z.object({
  /** In the quiet time that was counted. */
  count: z.int().min(0),
  /** Of a processor, that the function's process used from event to answer; the middle one of all. */
  cpuMs: z.number().positive(),
  /** Of the answer, header lines and body. */
  bytes: z.number().positive(),
})

export const countedSchema = z.object({
  date: z.string(),
  machine: z.string(),
  /** Of the agent's time, which ran faster than the wall's; enrolment and the first state before it are left out. */
  quietSeconds: z.number().positive(),
  pollSeconds: z.number().positive(),
  poll: kindSchema,
  report: kindSchema,
  token: kindSchema,
  /** In the two cycles after the change of a weight, beyond the two polls. */
  change: z.object({ polls: z.int(), reports: z.int(), bytes: z.number().min(0) }),
  /** Lines of the function's own log in the quiet time, at level info. */
  logBytes: z.int().min(0),
})
export type Counted = z.output<typeof countedSchema>

const HOURS = 730
const MONTH_SECONDS = HOURS * 3_600
const GB = 1e9
const MILLION = 1e6

/** What is not counted but taken to be so; the page says it. */
export const ASSUMED = {
  changesPerDirectorAndDay: 20,
  lambdaMemoryGb: 0.5,
  /** An instance of 1,769 MB has one processor, a smaller one its share (Lambda's documentation, "Configure memory"). */
  processorShare: 512 / 1_769,
  /** Waiting for the database, which is billed too. */
  waitMs: { poll: 1, report: 10, token: 10 },
  /** Housekeeping every ten minutes, of so many seconds. */
  housekeepingSeconds: 1,
  databaseInstances: 2,
  acuPerInstance: 0.5,
  databaseGb: 5,
  ioPerReport: 8,
  ioPerToken: 4,
  /** Of Parameter Store and of STS. */
  endpoints: 2,
  endpointZones: 2,
  diskGb: 30,
  /** What the agent asks the API to hold a poll for (services/agent/src/control-plane/poll-loop.ts). */
  heldPollSeconds: 50,
} as const

export type Requests = {
  readonly polls: number
  readonly reports: number
  readonly tokens: number
}

/** Of one director in a month that polls every `pollSeconds`. */
export function requestsOf(counted: Counted, pollSeconds: number): Requests {
  const { quietSeconds, poll, report, token, change } = counted
  const changes = (ASSUMED.changesPerDirectorAndDay * HOURS) / 24
  const pollsPerCycle = (poll.count * counted.pollSeconds) / quietSeconds
  return {
    polls: (pollsPerCycle * MONTH_SECONDS) / pollSeconds + change.polls * changes,
    reports: (report.count * MONTH_SECONDS) / quietSeconds + change.reports * changes,
    tokens: (token.count * MONTH_SECONDS) / quietSeconds,
  }
}

export function sumOf({ polls, reports, tokens }: Requests): number {
  return polls + reports + tokens
}

/** Milliseconds that a request is billed for. */
export function billedMs({ poll, report, token }: Counted) {
  const { processorShare, waitMs } = ASSUMED
  return {
    poll: poll.cpuMs / processorShare + waitMs.poll,
    report: report.cpuMs / processorShare + waitMs.report,
    token: token.cpuMs / processorShare + waitMs.token,
  }
}

export type LambdaCost = {
  readonly requests: number
  readonly functionRequests: number
  readonly functionSeconds: number
  readonly transfer: number
  readonly logs: number
  readonly database: number
  readonly endpoints: number
  readonly total: number
  /** What an HTTP API in front of it would add. */
  readonly httpApi: number
}

/** Dollars of a month for `directors` that poll every `pollSeconds`, with the settings of the Terraform modules. */
export function lambdaCost(counted: Counted, directors: number, pollSeconds: number): LambdaCost {
  const one = requestsOf(counted, pollSeconds)
  const requests = sumOf(one) * directors
  const { poll, report, token, change } = counted
  const billed = billedMs(counted)
  const busyMs = one.polls * billed.poll + one.reports * billed.report + one.tokens * billed.token
  const runs = (MONTH_SECONDS / 600) * ASSUMED.housekeepingSeconds
  const gbSeconds = ((busyMs / 1_000) * directors + runs) * ASSUMED.lambdaMemoryGb
  const changes = (ASSUMED.changesPerDirectorAndDay * HOURS) / 24
  const bytes =
    one.polls * poll.bytes +
    one.reports * report.bytes +
    one.tokens * token.bytes +
    changes * change.bytes
  const counts = poll.count + report.count + token.count
  const logged = (counted.logBytes / counts) * requests
  const io = (one.reports * ASSUMED.ioPerReport + one.tokens * ASSUMED.ioPerToken) * directors
  const parts = {
    functionRequests: (requests / MILLION) * PRICES.lambdaRequestsPerMillion,
    functionSeconds: gbSeconds * PRICES.lambdaGbSecond,
    transfer: ((bytes * directors) / GB) * PRICES.transferGb,
    logs: (logged / GB) * PRICES.logsGb,
    database:
      ASSUMED.databaseInstances * ASSUMED.acuPerInstance * HOURS * PRICES.acuHour +
      ASSUMED.databaseGb * PRICES.auroraGbMonth +
      (io / MILLION) * PRICES.auroraIoPerMillion,
    endpoints: ASSUMED.endpoints * ASSUMED.endpointZones * HOURS * PRICES.endpointHour,
  }
  return {
    requests,
    ...parts,
    total: Object.values(parts).reduce((sum, part) => sum + part, 0),
    httpApi: (requests / MILLION) * PRICES.httpApiRequestsPerMillion,
  }
}

export type MachineCost = {
  readonly requests: number
  readonly machine: number
  readonly transfer: number
  readonly total: number
}

/** One machine with Node and its own Postgres, which holds polls: its price does not know how many ask. */
export function machineCost(counted: Counted, directors: number): MachineCost {
  const one = requestsOf(counted, ASSUMED.heldPollSeconds)
  const { poll, report, token } = counted
  const bytes = one.polls * poll.bytes + one.reports * report.bytes + one.tokens * token.bytes
  const machine =
    HOURS * (PRICES.t4gMediumHour + PRICES.publicIpv4Hour) + ASSUMED.diskGb * PRICES.gp3GbMonth
  const transfer = ((bytes * directors) / GB) * PRICES.transferGb
  return { requests: sumOf(one) * directors, machine, transfer, total: machine + transfer }
}
