/**
 * One delivery: a POST that ends in time whatever the receiver does. No redirect is followed, no proxy asked, no connection
 * kept; the address is checked after the name was looked up and then used as it is, so that no second look-up can differ.
 */
import { lookup as lookUp, type LookupAddress, type LookupAllOptions } from 'node:dns'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { hostOf, refuseAddress, type TargetRules } from './target.ts'

export type Posted =
  | { readonly is: 'taken'; readonly status: number }
  /** `isGone`: the receiver wants nothing any more (410). */
  | { readonly is: 'failed'; readonly error: string; readonly isGone: boolean }

type Resolve = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

const ANSWER_BYTES_MAX = 64 * 1024
const ERROR_MAX = 300

export async function post(
  target: string,
  sent: { readonly headers: Readonly<Record<string, string>>; readonly body: string },
  limits: {
    readonly rules: TargetRules
    readonly timeoutMs: number
    readonly signal: AbortSignal
    /** Names to addresses; the system's own unless a test says otherwise. */
    readonly resolve?: Resolve
  },
): Promise<Posted> {
  const url = new URL(target)
  const failed = (error: string): Posted => ({
    is: 'failed',
    error: error.slice(0, ERROR_MAX),
    isGone: false,
  })
  // Sockets do not look up what is an address already.
  const host = hostOf(url)
  const refused = isIP(host) === 0 ? undefined : refuseAddress(host, url.protocol, limits.rules)
  if (refused !== undefined) return failed(refused)
  const deadline = AbortSignal.timeout(limits.timeoutMs)
  try {
    const answer = await send(url, sent, {
      lookup: checkedLookup(url.protocol, limits.rules, limits.resolve ?? lookUp),
      signal: AbortSignal.any([limits.signal, deadline]),
    })
    const status = answer.statusCode ?? 0
    answer.destroy()
    if (status >= 200 && status < 300) return { is: 'taken', status }
    if (status >= 300 && status < 400) {
      return failed(`answered ${status}: redirects are not followed, name the last URL`)
    }
    return { ...failed(`answered ${status}`), isGone: status === 410 } as Posted
  } catch (error) {
    if (deadline.aborted) return failed(`no whole answer within ${limits.timeoutMs} ms`)
    return failed(error instanceof Error ? error.message : String(error))
  }
}

/** Resolves once the answer was read to its end, or to as much of it as is looked at. */
function send(
  url: URL,
  { headers, body }: { readonly headers: Readonly<Record<string, string>>; readonly body: string },
  options: { readonly lookup: LookupFunction; readonly signal: AbortSignal },
): Promise<IncomingMessage> {
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: 'POST',
      agent: false,
      headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
      maxHeaderSize: 16 * 1024,
      ...options,
    })
    sent.on('error', reject)
    sent.on('response', (answer) => {
      let size = 0
      answer.on('data', (bytes: Buffer) => {
        size += bytes.length
        if (size > ANSWER_BYTES_MAX) resolve(answer)
      })
      answer.on('end', () => resolve(answer))
      answer.on('error', reject)
    })
    sent.end(body)
  })
}

/** Every address of a name must be allowed: which of them is tried is up to the socket. */
function checkedLookup(protocol: string, rules: TargetRules, resolve: Resolve): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return callback(error, [])
      for (const { address } of addresses) {
        const refused = refuseAddress(address, protocol, rules)
        if (refused !== undefined) return callback(new Error(refused), [])
      }
      const [first] = addresses
      if (options.all === true || first === undefined) return callback(null, addresses)
      callback(null, first.address, first.family)
    })
  }
}
