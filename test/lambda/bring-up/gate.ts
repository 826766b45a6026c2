/**
 * One address for all that a host asks: Parameter Store by its target header, the API otherwise. Writes down who asked
 * for what, and can put another document into the place of a host's state, as somebody on the way could.
 */
import { createServer, request as send, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { tokenAnswerSchema } from '@lvs-fleet/contract'
import * as z from 'zod'

export type Exchange = {
  /** Id of the host whose access token or assertion it was. */
  readonly host: string | undefined
  readonly what: string
  readonly status: number
  readonly ms: number
  /** The seconds to the next poll that the answer tells. */
  readonly pollSeconds: string | undefined
}

export type Gate = {
  readonly port: number
  readonly url: string
  readonly exchanges: Exchange[]
  /** Access tokens of each host, oldest first. */
  readonly tokens: Map<string, string[]>
  /** What a host is told in the place of its whole state; undefined = the truth. */
  forge: ((host: string, document: string) => Promise<string | undefined>) | undefined
  readonly close: () => Promise<void>
}

const STATE = '/v1/agent/state'
const TOKEN = '/v1/agent/token'
const claimsSchema = z.object({ iss: z.string() })

export async function startGate(to: { readonly api: string; readonly aws: URL }): Promise<Gate> {
  const hostOf = new Map<string, string>()
  const server = createServer(async (incoming, response) => {
    const body = await text(incoming)
    const path = incoming.url ?? '/'
    const isAws = incoming.headers['x-amz-target'] !== undefined
    const isState = path.startsWith(STATE)
    const bearer = (incoming.headers.authorization ?? '').replace('Bearer ', '')
    const host = path === TOKEN ? issuerOf(body) : hostOf.get(bearer)
    const isForged = isState && gate.forge !== undefined && host !== undefined
    const headers: IncomingHttpHeaders = { ...incoming.headers }
    // Whole, so that there is something to change.
    if (isForged) delete headers['if-none-match']
    const startedAt = performance.now()
    const url = new URL(isForged ? STATE : path, isAws ? to.aws : to.api)
    const answer = await pass(url, { method: incoming.method, headers }, body).catch(
      (error: unknown): Passed => ({ status: 502, headers: {}, text: String(error) }),
    )
    const { status } = answer
    if (path === TOKEN && status === 200 && host !== undefined) {
      const { access_token: token } = tokenAnswerSchema.parse(JSON.parse(answer.text))
      hostOf.set(token, host)
      gate.tokens.set(host, [...(gate.tokens.get(host) ?? []), token])
    }
    const pollSeconds = answer.headers['lvs-poll-seconds']
    gate.exchanges.push({
      host,
      what: isAws ? 'parameter' : path.replace(/\?.*/, ''),
      status,
      ms: performance.now() - startedAt,
      pollSeconds: typeof pollSeconds === 'string' ? pollSeconds : undefined,
    })
    const forged = isForged && status === 200 ? await gate.forge?.(host, answer.text) : undefined
    // The length is that of what was there before.
    const { 'content-length': _, 'transfer-encoding': __, ...told } = answer.headers
    response.writeHead(status, forged === undefined ? told : { ...told, etag: '"forged"' })
    response.end(forged ?? answer.text)
  })
  server.keepAliveTimeout = 75_000
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  const gate: Gate = {
    port,
    url: `http://127.0.0.1:${port}`,
    exchanges: [],
    tokens: new Map(),
    forge: undefined,
    close: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
  return gate
}

type Passed = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** With the Host header that was sent, because that is what a signature of AWS covers. */
function pass(
  url: URL,
  how: { readonly method: string | undefined; readonly headers: IncomingHttpHeaders },
  body: string,
): Promise<Passed> {
  return new Promise((resolve, reject) => {
    const outgoing = send(url, { ...how, agent: false }, (incoming) => {
      text(incoming).then(
        (all) =>
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text: all }),
        reject,
      )
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** Who an assertion says it is of. Read, not checked: the API does that. */
function issuerOf(body: string): string | undefined {
  const { client_assertion: jws } = JSON.parse(body) as { client_assertion?: string }
  const claims: unknown = JSON.parse(
    Buffer.from(jws?.split('.')[1] ?? '', 'base64url').toString() || 'null',
  )
  return claimsSchema.safeParse(claims).data?.iss
}
