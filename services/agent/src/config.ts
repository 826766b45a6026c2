/** Command line and environment, parsed once. The only reader of process.env in the agent. */
import { readFileSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import { parseIp, ROLES, type Ip, type Role } from '@lvs-fleet/contract'
import { parseCommandLine } from './command-line.ts'
import type { ListenAt } from './metrics/metrics-server.ts'
import { AgentError } from './ports.ts'

export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  refused: 3,
  changes: 4,
  risk: 5,
  broken: 6,
} as const

export const COMMANDS = [
  'run',
  'enrol',
  'apply',
  'hold',
  'release',
  'status',
  'doctor',
  'key',
  'probe-kernel',
] as const
export type Command = (typeof COMMANDS)[number]

const SEE_HELP = 'see lvsfleet-agent --help'
const DEFAULT_STATE_DIR = '/var/lib/lvsfleet-agent'
const DEFAULT_METRICS = '127.0.0.1:9614'

const OPTIONS = {
  api: { type: 'string' },
  'state-dir': { type: 'string' },
  role: { type: 'string' },
  name: { type: 'string' },
  address: { type: 'string', multiple: true },
  token: { type: 'string' },
  'token-file': { type: 'string' },
  'token-ssm': { type: 'string' },
  join: { type: 'string' },
  'aws-region': { type: 'string' },
  again: { type: 'boolean' },
  once: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  'detailed-exitcode': { type: 'boolean' },
  'allow-shrink': { type: 'boolean' },
  force: { type: 'boolean' },
  reason: { type: 'string' },
  fix: { type: 'boolean' },
  json: { type: 'boolean' },
  only: { type: 'string', multiple: true },
  list: { type: 'boolean' },
  'self-checks': { type: 'string' },
  'allow-scripts': { type: 'string' },
  'path-seconds': { type: 'string' },
  'rotate-key-days': { type: 'string' },
  metrics: { type: 'string' },
  output: { type: 'string' },
  log: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

export type Config = {
  readonly command: Command
  readonly operands: readonly string[]
  readonly stateDir: string
  readonly api: URL | undefined
  readonly role: Role | undefined
  readonly name: string | undefined
  readonly addresses: readonly Ip[]
  /** How this host comes in where it is not enrolled. */
  readonly join: 'token' | 'aws' | 'key'
  /** Read late, so that a token file is opened only when a token is needed. */
  readToken(): string | undefined
  /** Parameter that has the token, where none is given otherwise. */
  readonly tokenSsm: string | undefined
  /** Region whose STS says who this host is. */
  readonly awsRegion: string | undefined
  /** enrol: with a new key, though there is an identity. */
  readonly again: boolean
  readonly once: boolean
  readonly dryRun: boolean
  readonly detailedExitCode: boolean
  readonly allowShrink: boolean
  readonly force: boolean
  readonly reason: string | undefined
  readonly fix: boolean
  readonly json: boolean
  /** Ids of checks; empty = all. */
  readonly only: readonly string[]
  readonly list: boolean
  /** A running agent tries out what the kernel can and looks after itself now and then. */
  readonly selfChecks: 'on' | 'off'
  /** File in which another unit leaves what the kernel can; undefined = the agent tries by itself. Environment only. */
  readonly kernelProbe: string | undefined
  /** Folder whose programs health checks may run; undefined = none. */
  readonly allowScripts: string | undefined
  /** Seconds from one measuring of a path's MTU to the next; 0 = never. */
  readonly pathSeconds: number
  /** Age at which the host's key is replaced; 0 = never. */
  readonly rotateKeyDays: number
  /** Where Prometheus is answered; undefined = nowhere. */
  readonly metrics: ListenAt | undefined
  readonly output: 'table' | 'json'
  readonly log: 'json' | 'plain'
  readonly help: boolean
  readonly version: boolean
}

type Environment = Readonly<Record<string, string | undefined>>

export function parseConfig(args: readonly string[], env: Environment = process.env): Config {
  const { values, positionals } = parse(args)
  const [first = 'run', ...operands] = positionals
  const command = oneOf(first, COMMANDS, 'command')
  const [stray] = command === 'apply' ? [] : operands
  if (stray !== undefined) {
    const text = `${command} takes no argument such as ${JSON.stringify(stray)}: ${SEE_HELP}`
    throw new AgentError(text, EXIT.usage)
  }
  const api = values.api ?? env['LVSFLEET_API']
  const role = values.role ?? env['LVSFLEET_HOST_ROLE']
  const tokenFile = values['token-file'] ?? env['LVSFLEET_TOKEN_FILE']
  return {
    command,
    operands,
    stateDir: values['state-dir'] ?? env['LVSFLEET_STATE_DIR'] ?? DEFAULT_STATE_DIR,
    api: api === undefined ? undefined : parseApi(api),
    role: role === undefined ? undefined : oneOf(role, ROLES, '--role'),
    name: values.name ?? env['LVSFLEET_HOST_NAME'],
    addresses: parseAddresses(values.address ?? env['LVSFLEET_ADDRESSES']?.split(',') ?? []),
    readToken() {
      const given = values.token ?? env['LVSFLEET_TOKEN']
      if (given !== undefined || tokenFile === undefined) return given
      return readFileSync(tokenFile, 'utf8').trim()
    },
    join: oneOf(
      values.join ?? env['LVSFLEET_JOIN'] ?? 'token',
      ['token', 'aws', 'key'] as const,
      '--join',
    ),
    tokenSsm: values['token-ssm'] ?? env['LVSFLEET_TOKEN_SSM'],
    awsRegion: values['aws-region'] ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'],
    again: values.again ?? false,
    once: values.once ?? false,
    dryRun: values['dry-run'] ?? false,
    detailedExitCode: values['detailed-exitcode'] ?? false,
    allowShrink: values['allow-shrink'] ?? false,
    force: values.force ?? false,
    reason: values.reason,
    fix: values.fix ?? false,
    json: values.json ?? false,
    only: (values.only ?? []).flatMap((text) => text.split(',')),
    list: values.list ?? false,
    selfChecks: oneOf(
      values['self-checks'] ?? env['LVSFLEET_SELF_CHECKS'] ?? 'on',
      ['on', 'off'] as const,
      '--self-checks',
    ),
    kernelProbe: env['LVSFLEET_KERNEL_PROBE'],
    allowScripts: parseFolder(values['allow-scripts'] ?? env['LVSFLEET_ALLOW_SCRIPTS']),
    pathSeconds: parseSeconds(values['path-seconds'] ?? env['LVSFLEET_PATH_SECONDS'] ?? '300'),
    rotateKeyDays: parseDays(values['rotate-key-days'] ?? env['LVSFLEET_ROTATE_KEY_DAYS'] ?? '7'),
    metrics: parseListen(values.metrics ?? env['LVSFLEET_METRICS'] ?? DEFAULT_METRICS),
    output: oneOf(values.output ?? 'table', ['table', 'json'] as const, '--output'),
    log: oneOf(
      values.log ?? env['LVSFLEET_LOG_FORMAT'] ?? 'plain',
      ['json', 'plain'] as const,
      '--log',
    ),
    help: values.help ?? false,
    version: values.version ?? false,
  }
}

function parse(args: readonly string[]) {
  try {
    return parseCommandLine(args, OPTIONS)
  } catch (error) {
    // `Unknown option '--foo'. To specify a positional argument starting with a '-', ...`
    const [first = ''] = (error instanceof Error ? error.message : String(error)).split(/\.\s/)
    const text = first.charAt(0).toLowerCase() + first.slice(1)
    throw new AgentError(`${text}: ${SEE_HELP}`, EXIT.usage)
  }
}

function parseApi(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return url
  throw new AgentError(`--api: ${JSON.stringify(text)} is no http or https URL`, EXIT.usage)
}

function parseFolder(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined
  if (isAbsolute(text)) return resolve(text)
  throw new AgentError(`--allow-scripts: ${JSON.stringify(text)} is no absolute path`, EXIT.usage)
}

function parseListen(text: string): ListenAt | undefined {
  if (text === 'off') return undefined
  const [, v6, v4, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? []
  const host = parseIp(v6 ?? v4 ?? '')
  const port = Number(digits)
  if (host !== undefined && port >= 1 && port <= 65_535) return { host, port }
  throw new AgentError(
    `--metrics: ${JSON.stringify(text)} is neither off nor an address and a port, such as 127.0.0.1:9614`,
    EXIT.usage,
  )
}

function parseSeconds(text: string): number {
  const seconds = /^\d{1,5}$/.test(text) ? Number(text) : Infinity
  if (seconds <= 86_400) return seconds
  throw new AgentError(
    `--path-seconds: ${JSON.stringify(text)} is no whole number from 0 to 86400`,
    EXIT.usage,
  )
}

function parseDays(text: string): number {
  const days = /^\d{1,4}$/.test(text) ? Number(text) : Infinity
  if (days <= 3_650) return days
  throw new AgentError(
    `--rotate-key-days: ${JSON.stringify(text)} is no whole number from 0 to 3650`,
    EXIT.usage,
  )
}

function parseAddresses(texts: readonly string[]): Ip[] {
  return texts.map((text) => {
    const address = parseIp(text.trim())
    if (address !== undefined) return address
    throw new AgentError(`--address: ${JSON.stringify(text)} is no IP address`, EXIT.usage)
  })
}

function oneOf<const T extends string>(text: string, list: readonly T[], what: string): T {
  const found = list.find((item) => item === text)
  if (found !== undefined) return found
  throw new AgentError(`${what}: ${JSON.stringify(text)} is none of ${list.join(', ')}`, EXIT.usage)
}
