/** docs/cost.md, as text, from what was counted and the table of prices. */
import { readFileSync, writeFileSync } from 'node:fs'
import {
  ASSUMED,
  billedMs,
  countedSchema,
  lambdaCost,
  machineCost,
  requestsOf,
  sumOf,
  type Counted,
} from './cost.ts'
import { PRICES, SOURCES, UNCONFIRMED } from './prices.ts'

export const PAGE_FILE = new URL('../../docs/cost.md', import.meta.url)
export const RESULT_FILE = new URL('../results/cost.json', import.meta.url)
export const DIRECTORS = [10, 50, 200, 1_000] as const
export const POLL_SECONDS = [5, 10, 30, 60] as const

export function loadCounted(): Counted {
  return countedSchema.parse(JSON.parse(readFileSync(RESULT_FILE, 'utf8')))
}

export function writePage(counted: Counted): void {
  writeFileSync(PAGE_FILE, pageOf(counted))
}

export function pageOf(counted: Counted): string {
  const { poll, report, token, change, quietSeconds } = counted
  const billed = billedMs(counted)
  const perHour = (count: number) => ((count * 3_600) / quietSeconds).toFixed(1)
  return `# What the API costs on AWS

Written by \`npm run cost\`: it runs the function's own bundle on a real Postgres and a whole agent on a fake kernel, **counts** an
hour of the agent's life, and multiplies by a table of prices (\`bench/cost/prices.ts\`). Prices are list prices of ${PRICES.region} as known
on ${PRICES.date}, first tiers, without free ones: check them for your region and day before you decide by them. Directors themselves, their
traffic, alarms and metrics are not in it: they cost the same whatever the API runs on.

## Counted

One director, quiet, told to poll every ${counted.pollSeconds} s, on ${counted.date}:

${table([
  [
    'request',
    'in an hour',
    'a change of a weight adds',
    'bytes of an answer (TLS and TCP are not in it)',
    'ms of a processor, measured',
    'ms billed, computed',
  ],
  [
    'poll',
    perHour(poll.count),
    String(change.polls),
    String(poll.bytes),
    ms(poll.cpuMs),
    ms(billed.poll),
  ],
  [
    'report',
    perHour(report.count),
    String(change.reports),
    String(report.bytes),
    ms(report.cpuMs),
    ms(billed.report),
  ],
  ['token', perHour(token.count), '0', String(token.bytes), ms(token.cpuMs), ms(billed.token)],
])}

- A report goes out when something changed and every five minutes otherwise; every minute while a real server is down, every ten
  seconds while something drains. Events of health are not in the figures.
- The milliseconds of a processor are those of the function's process, the middle ones, on this machine (${counted.machine}). An instance of
  ${ASSUMED.lambdaMemoryGb} GB has ${ASSUMED.processorShare.toFixed(2)} of a processor, and waiting for the database is billed too (${ASSUMED.waitMs.poll}, ${ASSUMED.waitMs.report} and ${ASSUMED.waitMs.token} ms are assumed). This is the weakest figure
  here: look at the metric Duration of a running function. Cold starts are left out.
- The function logged ${counted.logBytes} bytes in that hour at level info. The Terraform module keeps Lambda's own two lines for each request
  (some 700 bytes) out of the log; with \`system_log_level = "INFO"\` they cost ${dollars((700 / 1e9) * PRICES.logsGb * 1e6)} for a million requests, more than the requests themselves.

## Function and Aurora

A month of 730 hours, in dollars. The interval is also how long a change may take to arrive.

${table([
  [
    'directors',
    'poll every',
    'requests',
    'function',
    'data, logs',
    'database',
    'endpoints',
    'total',
    'HTTP API instead of URL',
  ],
  ...DIRECTORS.flatMap((directors) =>
    POLL_SECONDS.map((seconds) => {
      const cost = lambdaCost(counted, directors, seconds)
      return [
        count(directors),
        `${seconds} s`,
        millions(cost.requests),
        dollars(cost.functionRequests + cost.functionSeconds),
        dollars(cost.transfer + cost.logs),
        dollars(cost.database),
        dollars(cost.endpoints),
        `**${dollars(cost.total)}**`,
        `+ ${dollars(cost.httpApi)}`,
      ]
    }),
  ),
])}

## One machine with Node and its own Postgres

It holds polls for ${ASSUMED.heldPollSeconds} s, so a change arrives at once and the interval plays no part. A t4g.medium with ${ASSUMED.diskGb} GB and a public address:

${table([
  ['directors', 'requests', 'machine', 'data', 'total'],
  ...DIRECTORS.map((directors) => {
    const cost = machineCost(counted, directors)
    return [
      count(directors),
      millions(cost.requests),
      dollars(cost.machine),
      dollars(cost.transfer),
      `**${dollars(cost.total)}**`,
    ]
  }),
])}

Requests here are computed from the ${ASSUMED.heldPollSeconds} s, not counted. A second machine for when the first one fails is the same again; backups of its
database are yours to make, while Aurora makes its own.

## What is assumed

- ${ASSUMED.changesPerDirectorAndDay} changes a day that concern a director. At a poll every 30 s a director asks ${count(Math.round(sumOf(requestsOf(counted, 30))))} times a month.
- Aurora: ${ASSUMED.databaseInstances} instances at ${ASSUMED.acuPerInstance} ACU all month (it does not sleep while agents ask), ${ASSUMED.databaseGb} GB, ${ASSUMED.ioPerReport} I/O for a report and ${ASSUMED.ioPerToken} for a token. Whether
  ${ASSUMED.acuPerInstance} ACU carry a thousand directors was not measured on Aurora: look at ServerlessDatabaseCapacity. One instance halves it.
- Interface endpoints for Parameter Store and STS in ${ASSUMED.endpointZones} zones; answers leave for the internet. Keys are replaced every seven days: too
  few requests to show.

## Prices

${table([
  ['what', 'dollars', 'for'],
  ['Lambda requests', String(PRICES.lambdaRequestsPerMillion), 'a million'],
  ['Lambda arm64', PRICES.lambdaGbSecond.toFixed(10), 'a GB-second'],
  ['HTTP API requests', PRICES.httpApiRequestsPerMillion.toFixed(2), 'a million'],
  ['Aurora Serverless v2', String(PRICES.acuHour), 'an ACU-hour'],
  ['Aurora storage', PRICES.auroraGbMonth.toFixed(2), 'a GB-month'],
  ['Aurora I/O', PRICES.auroraIoPerMillion.toFixed(2), 'a million'],
  ['CloudWatch Logs', PRICES.logsGb.toFixed(2), 'a GB taken in'],
  ['data to the internet', String(PRICES.transferGb), 'a GB'],
  ['interface endpoint', String(PRICES.endpointHour), 'an hour and zone'],
  ['t4g.medium', String(PRICES.t4gMediumHour), 'an hour'],
  ['gp3', String(PRICES.gp3GbMonth), 'a GB-month'],
  ['public IPv4 address', String(PRICES.publicIpv4Hour), 'an hour'],
])}

They were written down by hand, partly from others' reports of AWS's lists; those of ${UNCONFIRMED.join(', ')} from memory. AWS says them here:

${SOURCES.map(([what, page]) => `- ${what}: ${page}`).join('\n')}
`
}

function table([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n')
}

function dollars(value: number): string {
  return value < 10 ? value.toFixed(2) : value.toFixed(0)
}

function millions(value: number): string {
  return `${(value / 1e6).toFixed(value < 1e7 ? 2 : 1)} M`
}

const count = (value: number) => value.toLocaleString('en-US')
const ms = (value: number) => value.toFixed(1)
