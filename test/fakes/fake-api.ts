/**
 * A control plane that behaves, over real HTTP with real signatures: enrolment by token, assertions with
 * audience, expiry and one-use jti, bearer tokens, ETag, `have`, long poll, reports. And that misbehaves on demand.
 */
import { createPublicKey, randomBytes, verify as verifySignature } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import {
  enrolRequestSchema,
  formatStateDocument,
  POLL_SECONDS_HEADER,
  stateEtag,
  STATE_MEDIA_TYPE,
  statusReportSchema,
  tokenRequestSchema,
  type PublicKey,
  type StatusReport,
} from '@lvs-fleet/contract'
import { importJWK, jwtVerify } from 'jose'
import { AUDIENCE, type FakeController, type Published } from './fake-controller.ts'

export type FakeApi = {
  readonly url: URL
  readonly requests: string[]
  readonly reports: StatusReport[]
  /** Join token that is good once. */
  joinToken: string
  hostKey: PublicKey | undefined
  /** Server's clock minus the real one. */
  skewMs: number
  pollSeconds: number
  /** Knows of no report that asks for the next state. */
  isOlder: boolean
  /** Answers instead of the API while set. */
  intercept: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined
  publish(published: Published): void
  revokeTokens(): void
  close(): Promise<void>
}

export async function startFakeApi(controller: FakeController): Promise<FakeApi> {
  let published: Published | undefined
  const history = new Map<string, ReadonlySet<string>>()
  const tokens = new Set<string>()
  const usedJti = new Set<string>()
  const waiters = new Set<() => void>()

  const server = createServer((request, response) => {
    void handle(request, response).catch((error: unknown) =>
      problem(response, 500, 'internal', String(error)),
    )
  })

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    response.sendDate = false
    response.setHeader('date', new Date(Date.now() + api.skewMs).toUTCString())
    const url = new URL(request.url ?? '/', 'http://fake')
    api.requests.push(`${request.method} ${url.pathname}${url.search}`)
    if (api.intercept?.(request, response) === true) return
    const body = await readBody(request)
    if (url.pathname === '/v1/enrol') return enrol(body, response)
    if (url.pathname === '/v1/agent/token') return token(body, response)
    const bearer = request.headers.authorization?.replace(/^Bearer /, '') ?? ''
    if (!tokens.has(bearer)) return problem(response, 401, 'invalid-token', 'unknown token')
    if (url.pathname === '/v1/agent/report') {
      api.reports.push(statusReportSchema.parse(JSON.parse(body)))
      const held = api.isOlder ? null : url.searchParams.get('held')
      if (held !== null) return state(request, url, response, { held, nothingNew: 204 })
      response.writeHead(204).end()
      return
    }
    if (url.pathname === '/v1/agent/state') {
      const held = request.headers['if-none-match']
      return state(request, url, response, { held, nothingNew: 304 })
    }
    problem(response, 404, 'not-found', url.pathname)
  }

  const enrol = (body: string, response: ServerResponse): void => {
    const parsed = enrolRequestSchema.parse(JSON.parse(body))
    if (parsed.token !== api.joinToken)
      return problem(response, 401, 'invalid-token', 'the join token is spent or unknown')
    const key = createPublicKey({ key: parsed.publicKey, format: 'jwk' })
    const signed = Buffer.from(`lvsfleet-enrol:${parsed.token}`)
    if (!verifySignature(null, signed, key, Buffer.from(parsed.proof, 'base64url'))) {
      return problem(response, 401, 'invalid-token', 'the proof does not fit the key')
    }
    api.joinToken = `spent-${randomBytes(8).toString('hex')}`
    api.hostKey = parsed.publicKey
    json(response, 201, controller.identity)
  }

  const token = async (body: string, response: ServerResponse): Promise<void> => {
    const parsed = tokenRequestSchema.parse(JSON.parse(body))
    if (api.hostKey === undefined)
      return problem(response, 401, 'invalid-assertion', 'unknown host')
    try {
      const { payload } = await jwtVerify(
        parsed.client_assertion,
        await importJWK(api.hostKey, 'EdDSA'),
        {
          algorithms: ['EdDSA'],
          audience: AUDIENCE,
          subject: controller.identity.hostId,
          currentDate: new Date(Date.now() + api.skewMs),
          requiredClaims: ['exp', 'jti'],
        },
      )
      const jti = payload.jti ?? ''
      if (usedJti.has(jti)) throw new Error('jti used twice')
      usedJti.add(jti)
    } catch (error) {
      return problem(response, 401, 'invalid-assertion', String(error))
    }
    const text = randomBytes(16).toString('base64url')
    tokens.add(text)
    json(response, 200, { access_token: text, token_type: 'Bearer', expires_in: 900 })
  }

  const state = async (
    request: IncomingMessage,
    url: URL,
    response: ServerResponse,
    poll: { readonly held: string | undefined; readonly nothingNew: number },
  ): Promise<void> => {
    const waitMs = Number(url.searchParams.get('wait') ?? 0) * 1_000
    const isKnown = (): boolean =>
      published !== undefined && poll.held === stateEtag(published.manifest)
    if ((published === undefined || isKnown()) && waitMs > 0) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer)
          waiters.delete(done)
          resolve()
        }
        const timer = setTimeout(done, waitMs)
        waiters.add(done)
        response.on('close', done)
      })
    }
    response.setHeader(POLL_SECONDS_HEADER, String(api.pollSeconds))
    if (published === undefined)
      return problem(response, 404, 'not-published', 'nothing is published')
    if (isKnown()) {
      response.writeHead(poll.nothingNew).end()
      return
    }
    const have = history.get(url.searchParams.get('have') ?? '') ?? new Set()
    const bodies = [...published.lists, ...published.shards]
      .filter((shard) => !have.has(shard.digest))
      .map((shard) => shard.body)
    const isPacked = request.headers['accept-encoding'] === 'gzip'
    const document = formatStateDocument(published.jws, bodies)
    response.writeHead(200, {
      'content-type': STATE_MEDIA_TYPE,
      etag: `${isPacked ? 'W/' : ''}${stateEtag(published.manifest)}`,
      ...(isPacked ? { 'content-encoding': 'gzip' } : {}),
    })
    response.end(isPacked ? gzipSync(document) : document)
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the fake API has no port')
  const api: FakeApi = {
    url: new URL(`http://127.0.0.1:${address.port}`),
    requests: [],
    reports: [],
    joinToken: 'lvsj_1_secret',
    hostKey: undefined,
    skewMs: 0,
    pollSeconds: 0,
    isOlder: false,
    intercept: undefined,
    publish(next) {
      published = next
      const { epoch, generation } = next.manifest
      const named = [...next.lists, ...next.shards].map(({ digest }) => digest)
      history.set(`${epoch}.${generation}`, new Set(named))
      for (const wake of waiters) wake()
    },
    revokeTokens: () => tokens.clear(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return api
}

async function readBody(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request) body += String(chunk)
  return body
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

function problem(response: ServerResponse, status: number, code: string, detail: string): void {
  response
    .writeHead(status, { 'content-type': 'application/problem+json' })
    .end(JSON.stringify({ type: `urn:${code}`, title: code, status, code, detail }))
}
