/**
 * A host's side of the agent calls, as small as it can be: keeps a key, enrols, gets tokens, fetches and
 * verifies states, reports. Tests bend each step through the options.
 */
import {
  createPublicKey,
  generateKeyPairSync,
  hash,
  randomUUID,
  sign,
  type KeyObject,
} from 'node:crypto'
import {
  CHAIN_CLAIM,
  challengeAnswerSchema,
  enrolAnswerSchema,
  JWT_BEARER,
  joinShards,
  manifestSchema,
  parseShardList,
  publicKeySchema,
  shardSchema,
  tokenAnswerSchema,
  type EnrolAnswer,
  type HostState,
  type Manifest,
  type PublicKey,
  type Role,
  type ShardRef,
  type StatusReport,
} from '@lvs-fleet/contract'
import { compactVerify, importJWK, SignJWT } from 'jose'

export type AgentClient = {
  readonly publicKey: PublicKey
  readonly thumbprint: string
  readonly privateKey: KeyObject
  readonly enrol: (token: string, host: EnrolOptions) => Promise<Response>
  /** A fresh challenge of the API. */
  readonly challenge: () => Promise<string>
  /** Enrols by a challenge: alone, with a declared key, or with what else the body says. */
  readonly enrolBy: (challenge: string, body?: object) => Promise<Response>
  /** Remembers who it is, as after an enrolment. */
  readonly become: (answer: EnrolAnswer) => void
  /** Enrols, throws unless it worked, and remembers the answer. */
  readonly join: (token: string, host: EnrolOptions) => Promise<EnrolAnswer>
  readonly assertion: (options?: AssertionOptions) => Promise<string>
  readonly requestToken: (assertion: string) => Promise<Response>
  /** A fresh access token; remembered for state and report. */
  readonly login: () => Promise<string>
  readonly state: (options?: StateOptions) => Promise<Response>
  readonly report: (report: StatusReport) => Promise<Response>
}

export type EnrolOptions = {
  readonly role: Role
  readonly name: string
  readonly addresses?: readonly string[]
  readonly proof?: string
}
export type AssertionOptions = {
  readonly audience?: string
  readonly subject?: string
  readonly jti?: string
  readonly expiresInSeconds?: number
  readonly key?: KeyObject
  readonly kid?: string
  readonly chain?: { readonly prev: string; readonly next: string }
}
export type StateOptions = {
  readonly etag?: string
  readonly have?: string
  readonly waitSeconds?: number
  readonly token?: string
  readonly signal?: AbortSignal
}

export function makeAgentClient(url: string): AgentClient {
  const { privateKey } = generateKeyPairSync('ed25519')
  const publicKey = publicKeySchema.parse(createPublicKey(privateKey).export({ format: 'jwk' }))
  const thumbprint = hash(
    'sha256',
    `{"crv":"Ed25519","kty":"OKP","x":"${publicKey.x}"}`,
    'base64url',
  )
  let enrolled: EnrolAnswer | undefined
  let accessToken = ''

  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(url + path, {
      method: 'POST',
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })

  const enrol = (token: string, host: EnrolOptions) =>
    post('/v1/enrol', {
      token,
      role: host.role,
      name: host.name,
      publicKey,
      addresses: host.addresses ?? [],
      proof:
        host.proof ??
        sign(null, Buffer.from(`lvsfleet-enrol:${token}`), privateKey).toString('base64url'),
      machineId: `machine-of-${host.name}`,
    })

  const challenge = async () => {
    const answer: unknown = await (await post('/v1/enrol/challenge', undefined)).json()
    return challengeAnswerSchema.parse(answer).challenge
  }

  const enrolBy = (given: string, body: object = {}) =>
    post('/v1/enrol', {
      challenge: given,
      publicKey,
      addresses: [],
      proof: sign(null, Buffer.from(`lvsfleet-enrol:${given}`), privateKey).toString('base64url'),
      machineId: 'machine',
      ...body,
    })

  const assertion = (options: AssertionOptions = {}) => {
    const now = Math.floor(Date.now() / 1_000)
    const subject = options.subject ?? enrolled?.hostId ?? ''
    return new SignJWT(options.chain === undefined ? {} : { [CHAIN_CLAIM]: options.chain })
      .setProtectedHeader({ alg: 'EdDSA', kid: options.kid ?? thumbprint })
      .setIssuer(subject)
      .setSubject(subject)
      .setAudience(options.audience ?? enrolled?.audience ?? '')
      .setJti(options.jti ?? randomUUID())
      .setIssuedAt(now)
      .setExpirationTime(now + (options.expiresInSeconds ?? 60))
      .sign(options.key ?? privateKey)
  }

  const requestToken = (clientAssertion: string) =>
    post('/v1/agent/token', {
      grant_type: 'client_credentials',
      client_assertion_type: JWT_BEARER,
      client_assertion: clientAssertion,
    })

  return {
    publicKey,
    thumbprint,
    privateKey,
    enrol,
    challenge,
    enrolBy,
    become: (answer) => {
      enrolled = answer
    },
    assertion,
    requestToken,
    join: async (token, host) => {
      const response = await enrol(token, host)
      if (response.status !== 200)
        throw new Error(`enrol: ${response.status} ${await response.text()}`)
      enrolled = enrolAnswerSchema.parse(await response.json())
      return enrolled
    },
    login: async () => {
      const response = await requestToken(await assertion())
      if (response.status !== 200)
        throw new Error(`token: ${response.status} ${await response.text()}`)
      accessToken = tokenAnswerSchema.parse(await response.json()).access_token
      return accessToken
    },
    state: (options = {}) => {
      const query = new URLSearchParams()
      if (options.have !== undefined) query.set('have', options.have)
      if (options.waitSeconds !== undefined) query.set('wait', String(options.waitSeconds))
      return fetch(`${url}/v1/agent/state?${query.toString()}`, {
        headers: {
          authorization: `Bearer ${options.token ?? accessToken}`,
          ...(options.etag === undefined ? {} : { 'if-none-match': options.etag }),
        },
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      })
    },
    report: (report) =>
      post('/v1/agent/report', report, { authorization: `Bearer ${accessToken}` }),
  }
}

/** Reads a state document as an agent would: signature first, then each shard by its digest. */
export async function readDocument(
  text: string,
  controllerKey: PublicKey,
): Promise<{
  manifest: Manifest
  /** What the lists in this document name. */
  named: readonly ShardRef[]
  /** Of shards. */
  bodies: readonly string[]
  state: HostState
}> {
  const [jws = '', ...lines] = text.split('\n')
  const { payload } = await compactVerify(jws, await importJWK(controllerKey, 'EdDSA'), {
    algorithms: ['EdDSA'],
  })
  const manifest = manifestSchema.parse(JSON.parse(new TextDecoder().decode(payload)))
  const listDigests = new Set(manifest.lists.map((list) => list.digest))
  const named: ShardRef[] = []
  const bodies: string[] = []
  for (const line of lines.filter((text) => text !== '')) {
    const digest = hash('sha256', line)
    if (listDigests.has(digest)) named.push(...(parseShardList(line) ?? []))
    else if (named.some((shard) => shard.digest === digest)) bodies.push(line)
    else throw new Error('a line that neither the manifest nor a list before it names')
  }
  const state = joinShards(bodies.map((body) => shardSchema.parse(JSON.parse(body))))
  return { manifest, named, bodies, state }
}

export function makeReport(seq: number, changed: Partial<StatusReport> = {}): StatusReport {
  return {
    seq,
    bootId: 'boot-1',
    agentVersion: '0.1.0',
    kernelVersion: '6.1.0',
    source: 'control-plane',
    applied: null,
    rejected: null,
    held: null,
    counts: { services: 0, destinations: 0 },
    failedOps: [],
    failedOpCount: 0,
    drift: [],
    driftCount: 0,
    drains: [],
    drainCount: 0,
    drainProgress: [],
    weights: [],
    weightCount: 0,
    weightChanges: null,
    capabilities: null,
    doctor: null,
    health: null,
    paths: null,
    ...changed,
  }
}
