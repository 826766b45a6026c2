/** Errors of sockets and of TLS → what they say of a real server, or that they say something of the director instead. */
import { HEALTH_DETAIL_MAX } from '@lvs-fleet/contract'
import type { Failure, ProbeResult } from './probe.ts'
import { UnusableFile } from './tls-context.ts'

/** Out of descriptors, memory or ports, no right, no address of the family: nobody has been asked. */
const OWN_FAULTS: ReadonlySet<string> = new Set([
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'ENOBUFS',
  'EADDRNOTAVAIL',
  'EADDRINUSE',
  'EACCES',
  'EPERM',
  'EINVAL',
  'EAFNOSUPPORT',
])

const FAILURES: Readonly<Record<string, readonly [Failure, string]>> = {
  ECONNREFUSED: ['refused', 'connection refused'],
  ECONNRESET: ['refused', 'connection reset'],
  EPIPE: ['refused', 'connection closed'],
  ETIMEDOUT: ['silent', 'no connection within the timeout'],
  EHOSTUNREACH: ['silent', 'no route to host'],
  EHOSTDOWN: ['silent', 'host is down'],
  ENETUNREACH: ['silent', 'network is unreachable'],
}

/** `heard`: something of an answer was there already, so that who breaks off is the server and not the way. */
export function resultOfError(error: unknown, heard: boolean): ProbeResult {
  if (error instanceof UnusableFile) return cannotRun(error.message)
  const code = codeOf(error)
  if (OWN_FAULTS.has(code)) return cannotRun(code)
  // What the network or a server did has a code; what has none, or is about our own arguments, is a mistake of ours.
  if (code === '' || error instanceof TypeError || error instanceof RangeError) {
    return cannotRun(error instanceof Error ? error.message : String(error))
  }
  const [failure, text] = FAILURES[code] ?? (['wrong', textOf(error, code)] as const)
  return bad(heard ? 'wrong' : failure, heard ? `${text} within the answer` : text)
}

export function bad(failure: Failure, detail: string): ProbeResult {
  return { is: 'bad', failure, detail: oneLine(detail) }
}

export function cannotRun(why: string): ProbeResult {
  return { is: 'cannot-run', detail: oneLine(`cannot run: ${why}`) }
}

/** What strangers sent goes into reports and logs: printable, in one line, short. */
export function oneLine(text: string): string {
  return text
    .slice(0, HEALTH_DETAIL_MAX)
    .replaceAll(/\p{C}+/gu, ' ')
    .trim()
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : ''
}

/** TLS says in its code what is wrong with a certificate; OpenSSL's own errors only in their text. */
function textOf(error: unknown, code: string): string {
  const text = error instanceof Error ? (error.message.split('\n')[0] ?? '') : ''
  return text.includes(code) ? text : `${code}: ${text}`
}
