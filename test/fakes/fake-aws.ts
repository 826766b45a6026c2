/**
 * AWS as far as we use it: STS GetCallerIdentity and SSM Parameter Store over HTTP, with its own check of every
 * Signature Version 4. It answers by the Host header that was signed, so that tests lead real hosts' requests here.
 * Proves what our side sends and reads; what the real services do only a real account proves.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type AwsCaller = {
  readonly secretAccessKey: string
  readonly sessionToken?: string
  readonly account: string
  readonly arn: string
}
export type FakeAws = {
  readonly url: URL
  /** By access key id. */
  readonly callers: Map<string, AwsCaller>
  readonly parameters: Map<string, { value: string; type: string; version: number }>
  /** `sts`, `ssm GetParameter` … in order. */
  readonly calls: string[]
  /** Answers STS instead while set. */
  stsAnswer: ((response: ServerResponse) => void) | undefined
  close(): Promise<void>
}

const CLOCK_MS = 15 * 60_000
const VALUE_MAX = 4_096

export async function startFakeAws(now: () => number = Date.now): Promise<FakeAws> {
  const server = createServer((request, response) => {
    void handle(request, response)
  })
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    const service = /Credential=[^/]+\/\d{8}\/[^/]+\/(sts|ssm)\//.exec(
      request.headers.authorization ?? '',
    )?.[1]
    const target = String(request.headers['x-amz-target'] ?? '').replace('AmazonSSM.', '')
    fake.calls.push(service === 'ssm' ? `ssm ${target}` : 'sts')
    const found = verifySigV4(request, body, fake.callers, now())
    if (typeof found === 'string') return fail(response, 403, found)
    if (service === 'ssm') return ssm(target, JSON.parse(body), fake, response)
    if (fake.stsAnswer !== undefined) return fake.stsAnswer(response)
    if (body === 'Action=GetCallerIdentity&Version=2011-06-15')
      return send(response, 200, {
        GetCallerIdentityResponse: {
          GetCallerIdentityResult: { Account: found.account, Arn: found.arn, UserId: 'AROA:x' },
        },
      })
    // What a proof must never get out of us.
    send(response, 200, { AssumeRoleResponse: { Credentials: 'stolen' } })
  }
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  // listen gave a port.
  const { port } = server.address() as AddressInfo
  const fake: FakeAws = {
    url: new URL(`http://127.0.0.1:${port}/`),
    callers: new Map(),
    parameters: new Map(),
    calls: [],
    stsAnswer: undefined,
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
  return fake
}

/** The caller, or the name of the error. From the algorithm in the IAM user guide, step by step. */
function verifySigV4(
  request: IncomingMessage,
  body: string,
  callers: ReadonlyMap<string, AwsCaller>,
  nowMs: number,
): AwsCaller | string {
  const [, keyId = '', day = '', region = '', service = '', list = '', signature = ''] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      request.headers.authorization ?? '',
    ) ?? []
  const caller = callers.get(keyId)
  if (caller === undefined) return 'InvalidClientTokenId'
  const date = String(request.headers['x-amz-date'] ?? '')
  const at = Date.parse(date.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  if (!(Math.abs(nowMs - at) <= CLOCK_MS) || !date.startsWith(day)) return 'SignatureDoesNotMatch'
  if (request.headers['x-amz-security-token'] !== caller.sessionToken) return 'InvalidClientTokenId'
  const [path = '/', query = ''] = (request.url ?? '/').split('?')
  const wanted = signatureV4({
    method: request.method ?? '',
    path,
    query,
    headers: list.split(';').map((name) => [name, String(request.headers[name] ?? '').trim()]),
    body,
    date,
    scope: [day, region, service, 'aws4_request'],
    secret: caller.secretAccessKey,
  })
  const isRight = timingSafeEqual(Buffer.from(wanted, 'hex'), Buffer.from(signature, 'hex'))
  return isRight ? caller : 'SignatureDoesNotMatch'
}

/** The signature in hex; tests sign with it what our agent never would. */
export function signatureV4(given: {
  readonly method: string
  readonly path: string
  readonly query: string
  /** The signed ones, sorted by name. */
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
  readonly date: string
  readonly scope: readonly string[]
  readonly secret: string
}): string {
  const { method, path, query, body, date, scope } = given
  const headers = given.headers.map(([name, value]) => `${name}:${value}\n`).join('')
  const list = given.headers.map(([name]) => name).join(';')
  const canonical = [method, path, query, headers, list, sha256(body)].join('\n')
  const text = ['AWS4-HMAC-SHA256', date, scope.join('/'), sha256(canonical)].join('\n')
  const key = scope.reduce<string | Buffer>(
    (secret, part) => createHmac('sha256', secret).update(part).digest(),
    `AWS4${given.secret}`,
  )
  return createHmac('sha256', key).update(text).digest('hex')
}

type SsmInput = {
  readonly Name: string
  readonly Path?: string
  readonly Value?: string
  readonly Type?: string
  readonly Overwrite?: boolean
  readonly WithDecryption?: boolean
}

function ssm(target: string, input: SsmInput, fake: FakeAws, response: ServerResponse): void {
  const held = fake.parameters.get(input.Name)
  if (target === 'GetParameter') {
    if (held === undefined) return fail(response, 400, 'ParameterNotFound')
    const isOpen = held.type !== 'SecureString' || input.WithDecryption === true
    const Value = isOpen ? held.value : 'AQICAHh-encrypted'
    return send(response, 200, {
      Parameter: { Name: input.Name, Value, Type: held.type, Version: held.version },
    })
  }
  if (target === 'PutParameter') {
    const { Value = '', Type = 'String', Overwrite = false } = input
    if (held !== undefined && !Overwrite) return fail(response, 400, 'ParameterAlreadyExists')
    if (Value.length > VALUE_MAX || Value === '') return fail(response, 400, 'ValidationException')
    const version = (held?.version ?? 0) + 1
    fake.parameters.set(input.Name, { value: Value, type: Type, version })
    return send(response, 200, { Version: version, Tier: 'Standard' })
  }
  if (target === 'DeleteParameter') {
    if (!fake.parameters.delete(input.Name)) return fail(response, 400, 'ParameterNotFound')
    return send(response, 200, {})
  }
  fail(response, 400, 'UnknownOperationException')
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function send(response: ServerResponse, status: number, value: unknown): void {
  response
    .writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
    .end(JSON.stringify(value))
}

function fail(response: ServerResponse, status: number, code: string): void {
  response.setHeader('x-amzn-errortype', code)
  send(response, status, { __type: code, message: code })
}
