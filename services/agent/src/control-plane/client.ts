/**
 * The control plane as this host sees it: poll for a state, send a report. Access tokens are bought with an
 * assertion signed by the host's key (RFC 7523), kept until 80 % of their life or until one is refused.
 * A clock that is off is noticed by the server's Date header and allowed for; nothing else depends on it.
 */
import { randomUUID } from 'node:crypto'
import {
  CHAIN_CLAIM,
  JWT_BEARER,
  rotationText,
  POLL_SECONDS_HEADER,
  STATE_MEDIA_TYPE,
  tokenAnswerSchema,
  type EnrolAnswer,
  type StatusReport,
} from '@lvs-fleet/contract'
import { signCompact, signText, thumbprint } from '../jws.ts'
import { WireError, type Clock } from '../ports.ts'
import type { Version } from '../state/candidate.ts'
import { retryAfterMs } from './backoff.ts'
import { jsonOf, type HttpAnswer, type HttpClient, type HttpRequest } from './http.ts'
import type { Chain, ChainPair } from './chain.ts'
import type { HostKeys } from './host-keys.ts'
import { publicPart, type HostKey } from './identity.ts'
import { problemCode, problemText } from './problem.ts'

const CALL_TIMEOUT_MS = 15_000
const ASSERTION_LIFE_SECONDS = 60
/** Of an access token's life: new before the server could call it old. */
const TOKEN_LIFE_SHARE = 0.8
const SKEW_TOLERATED_MS = 5_000

export type PollAnswer =
  | {
      readonly is: 'document'
      readonly lines: AsyncIterable<string>
      readonly etag: string | undefined
      readonly pollSeconds: number
    }
  | { readonly is: 'unchanged'; readonly pollSeconds: number }
  | Refused

export type Refused = {
  readonly is: 'refused'
  readonly status: number
  /** Of problem+json, where there is one. */
  readonly code: string | undefined
  readonly detail: string
  readonly retryAfterMs: number
}

export type Poll = {
  readonly waitSeconds: number
  readonly have: Version | null
  readonly etag: string | undefined
  /** Travels along: two calls in one. Any answer but `refused` says that it was taken. Only with an `etag`. */
  readonly report?: StatusReport | undefined
  readonly signal?: AbortSignal
}

export type ControlPlane = {
  poll(poll: Poll): Promise<PollAnswer>
  report(report: StatusReport, signal?: AbortSignal): Promise<{ readonly is: 'taken' } | Refused>
  /** Replaces the host's key; the old one goes once the new one counts. */
  rotateKey(signal?: AbortSignal): Promise<{ readonly is: 'taken' } | Refused>
  close(): void
}

export function createControlPlane(deps: {
  readonly http: HttpClient
  readonly clock: Clock
  readonly identity: EnrolAnswer
  readonly keys: HostKeys
  readonly chain: Chain
  /** Hears the signed key lists that come with a token. */
  readonly onKeyLists?: (lists: readonly string[]) => Promise<void>
}): ControlPlane {
  const tokens = createTokenSource(deps)

  /** One call with a token; once more with a new one when it is refused as unknown. */
  const call = async (request: HttpRequest): Promise<HttpAnswer | Refused> => {
    for (let attempt = 1; ; attempt++) {
      const token = await tokens.get(request.signal)
      if (typeof token !== 'string') return token
      const headers = { ...request.headers, authorization: `Bearer ${token}` }
      const answer = await deps.http.request({ ...request, headers })
      if (answer.status !== 401) return answer
      tokens.drop()
      if (attempt === 2) return refusedBy(answer, deps.clock)
      answer.discard()
    }
  }

  return {
    async poll(poll) {
      const answer = await call(
        poll.report === undefined ? plainPoll(poll) : reportingPoll(poll, poll.report),
      )
      if ('is' in answer) return answer
      const pollSeconds = pollSecondsOf(answer)
      if (answer.status === 304 || answer.status === 204) {
        answer.discard()
        return { is: 'unchanged', pollSeconds }
      }
      if (answer.status !== 200) return refusedBy(answer, deps.clock)
      // Weak where it came compressed, by the server or a proxy: the state that it names is the same.
      const named = answer.headers.etag?.replace(/^W\//, '')
      return { is: 'document', lines: answer.lines(), etag: named, pollSeconds }
    },
    async report(report, signal) {
      const answer = await call({
        method: 'POST',
        path: '/v1/agent/report',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(report),
        timeoutMs: CALL_TIMEOUT_MS,
        ...(signal === undefined ? {} : { signal }),
      })
      if ('is' in answer) return answer
      if (answer.status < 200 || answer.status > 299) return refusedBy(answer, deps.clock)
      answer.discard()
      return { is: 'taken' }
    },
    async rotateKey(signal) {
      const { keys, identity } = deps
      const old = keys.current()
      const next = await keys.makeNext()
      const text = rotationText(identity.hostId, thumbprint(old), thumbprint(next))
      const answer = await call({
        method: 'POST',
        path: '/v1/agent/rotate-key',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          publicKey: publicPart(next),
          oldProof: signText(text, old),
          newProof: signText(text, next),
        }),
        timeoutMs: CALL_TIMEOUT_MS,
        ...(signal === undefined ? {} : { signal }),
      })
      if ('is' in answer) return answer
      if (answer.status !== 204) return refusedBy(answer, deps.clock)
      answer.discard()
      // Not when another answer moved it on already.
      if (keys.next() === next) await keys.promote()
      return { is: 'taken' }
    },
    close: () => deps.http.close(),
  }
}

const ACCEPT = { accept: STATE_MEDIA_TYPE, 'accept-encoding': 'gzip' }

function plainPoll(poll: Poll): HttpRequest {
  const query = queryOf(poll)
  return {
    method: 'GET',
    path: `/v1/agent/state${query.size === 0 ? '' : `?${query.toString()}`}`,
    headers: { ...ACCEPT, ...(poll.etag === undefined ? {} : { 'if-none-match': poll.etag }) },
    ...lastingAsLongAs(poll),
  }
}

/** To an API that does not know of it a report like any other, which is answered at once. */
function reportingPoll(poll: Poll, report: StatusReport): HttpRequest {
  const query = queryOf(poll)
  // A precondition of a POST would say something else (RFC 9110, 13.1.2).
  if (poll.etag !== undefined) query.set('held', poll.etag)
  return {
    method: 'POST',
    path: `/v1/agent/report?${query.toString()}`,
    headers: { ...ACCEPT, 'content-type': 'application/json' },
    body: JSON.stringify(report),
    ...lastingAsLongAs(poll),
  }
}

function queryOf({ have, waitSeconds }: Poll): URLSearchParams {
  const query = new URLSearchParams()
  if (have !== null) query.set('have', `${have.epoch}.${have.generation}`)
  if (waitSeconds > 0) query.set('wait', String(waitSeconds))
  return query
}

function lastingAsLongAs({ waitSeconds, signal }: Poll): Pick<HttpRequest, 'timeoutMs' | 'signal'> {
  return {
    timeoutMs: CALL_TIMEOUT_MS + waitSeconds * 1_000,
    ...(signal === undefined ? {} : { signal }),
  }
}

type TokenSource = {
  get(signal: AbortSignal | undefined): Promise<string | Refused>
  drop(): void
}

function createTokenSource(deps: {
  readonly http: HttpClient
  readonly clock: Clock
  readonly identity: EnrolAnswer
  readonly keys: HostKeys
  readonly chain: Chain
  readonly onKeyLists?: (lists: readonly string[]) => Promise<void>
}): TokenSource {
  const { http, clock, identity, keys, chain } = deps
  let token: { text: string; freshUntilMs: number } | undefined
  /** Server's wall clock minus ours. */
  let skewMs = 0

  const buy = async (key: HostKey, signal: AbortSignal | undefined): Promise<HttpAnswer> => {
    const pair = await chain.pair()
    return http.request({
      method: 'POST',
      path: '/v1/agent/token',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({
        grant_type: 'client_credentials',
        client_assertion_type: JWT_BEARER,
        client_assertion: assertion(identity, key, { pair, wallMs: clock.wallMs() + skewMs }),
      }),
      timeoutMs: CALL_TIMEOUT_MS,
      ...(signal === undefined ? {} : { signal }),
    })
  }

  /** Once more by the server's clock where ours is off. */
  const buyInTime = async (key: HostKey, signal: AbortSignal | undefined): Promise<HttpAnswer> => {
    const answer = await buy(key, signal)
    if (answer.status !== 400 && answer.status !== 401) return answer
    const off = Date.parse(answer.headers.date ?? '') - clock.wallMs()
    if (!Number.isFinite(off) || Math.abs(off - skewMs) <= SKEW_TOLERATED_MS) return answer
    skewMs = off
    answer.discard()
    return buy(key, signal)
  }

  const fetchToken = async (signal: AbortSignal | undefined): Promise<string | Refused> => {
    let answer = await buyInTime(keys.current(), signal)
    const next = keys.next()
    if (answer.status === 401 && next !== undefined) {
      // The answer to a change of key may have been lost: then the next one is what counts.
      const second = await buyInTime(next, signal)
      if (second.status === 200) {
        answer.discard()
        answer = second
        await keys.promote()
      } else second.discard()
    }
    if (answer.status !== 200) return refusedBy(answer, clock)
    chain.confirm()
    const parsed = tokenAnswerSchema.safeParse(await jsonOf(answer))
    if (!parsed.success) throw new WireError('the token answer cannot be read')
    await deps.onKeyLists?.(parsed.data.key_lists ?? [])
    const lifeMs = parsed.data.expires_in * 1_000 * TOKEN_LIFE_SHARE
    token = { text: parsed.data.access_token, freshUntilMs: clock.monotonicMs() + lifeMs }
    return token.text
  }

  /** One at a time: polls and reports ask at once, and each assertion is a step of the chain. */
  let pending: Promise<string | Refused> | undefined
  return {
    drop: () => {
      token = undefined
    },
    async get(signal) {
      if (token !== undefined && clock.monotonicMs() < token.freshUntilMs) return token.text
      pending ??= fetchToken(signal).finally(() => {
        pending = undefined
      })
      return pending
    },
  }
}

/** RFC 7523 section 3: who we are, to whom we say it, for how long, and once only. */
function assertion(
  identity: EnrolAnswer,
  key: HostKey,
  shown: { readonly pair: ChainPair; readonly wallMs: number },
): string {
  const seconds = Math.floor(shown.wallMs / 1_000)
  const claims = {
    iss: identity.hostId,
    sub: identity.hostId,
    aud: identity.audience,
    jti: randomUUID(),
    iat: seconds,
    exp: seconds + ASSERTION_LIFE_SECONDS,
    [CHAIN_CLAIM]: shown.pair,
  }
  return signCompact({ kid: thumbprint(key), typ: 'JWT' }, claims, key)
}

async function refusedBy(answer: HttpAnswer, clock: Clock): Promise<Refused> {
  const body = await answer.text()
  return {
    is: 'refused',
    status: answer.status,
    code: problemCode(body),
    detail: problemText(answer.status, body),
    retryAfterMs: retryAfterMs(answer.headers['retry-after'], clock.wallMs()),
  }
}

/** 0 = come back at once (long poll); an unreadable or absent header counts as 0, the loop has a floor of its own. */
function pollSecondsOf(answer: HttpAnswer): number {
  const header = answer.headers[POLL_SECONDS_HEADER]
  const seconds = typeof header === 'string' ? Number(header) : 0
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), 3_600) : 0
}
