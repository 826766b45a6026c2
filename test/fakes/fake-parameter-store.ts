/**
 * Parameter Store of AWS Systems Manager as far as we use it, over real HTTP: GetParameter and PutParameter, signatures
 * checked (Signature Version 4), no overwriting unless asked, ParameterNotFound, 4,096 characters at most.
 */
import { createHash, createHmac } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import * as z from 'zod'

export const FAKE_CREDENTIALS = { id: 'AKIDEXAMPLE', secret: 'wJalrXUtnFEMI-EXAMPLE' } as const
const VALUE_MAX = 4_096

export type StoredParameter = { readonly value: string; readonly type: string }

export type FakeParameterStore = {
  readonly url: string
  readonly parameters: Map<string, StoredParameter>
  readonly close: () => Promise<void>
}

const requestSchema = z.object({
  Name: z.string(),
  Value: z.string().optional(),
  Type: z.string().default('String'),
  Overwrite: z.boolean().default(false),
  WithDecryption: z.boolean().default(false),
})

export async function startFakeParameterStore(): Promise<FakeParameterStore> {
  const parameters = new Map<string, StoredParameter>()
  const server = createServer(async (request, response) => {
    const body = await text(request)
    const answer = isSigned(request, body)
      ? act(parameters, String(request.headers['x-amz-target']), body)
      : refused('InvalidSignatureException')
    response.writeHead(answer.status, { 'content-type': 'application/x-amz-json-1.1' })
    response.end(JSON.stringify(answer.body))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    parameters,
    close: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

type Answer = { readonly status: number; readonly body: unknown }

function act(parameters: Map<string, StoredParameter>, target: string, body: string): Answer {
  const wanted = requestSchema.parse(JSON.parse(body))
  const held = parameters.get(wanted.Name)
  if (target === 'AmazonSSM.GetParameter') {
    if (held === undefined) return refused('ParameterNotFound')
    const isSecret = held.type === 'SecureString' && !wanted.WithDecryption
    const Value = isSecret ? 'AQICAHencrypted' : held.value
    return { status: 200, body: { Parameter: { Name: wanted.Name, Type: held.type, Value } } }
  }
  if (target !== 'AmazonSSM.PutParameter') return refused('UnknownOperationException')
  if (held !== undefined && !wanted.Overwrite) return refused('ParameterAlreadyExists')
  const value = wanted.Value ?? ''
  if (value.length > VALUE_MAX) return refused('ValidationException')
  parameters.set(wanted.Name, { value, type: wanted.Type })
  return { status: 200, body: { Version: 1, Tier: 'Standard' } }
}

function refused(name: string): Answer {
  return { status: 400, body: { __type: name, message: name } }
}

function isSigned(request: IncomingMessage, body: string): boolean {
  const found =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8}\/[^/]+\/ssm\/aws4_request), SignedHeaders=([^,]+), Signature=(\w+)$/.exec(
      request.headers.authorization ?? '',
    )
  if (found === null) return false
  const [, id = '', scope = '', names = '', signature = ''] = found
  const headers = names
    .split(';')
    .map((name) => `${name}:${String(request.headers[name]).trim().replaceAll(/ +/g, ' ')}\n`)
    .join('')
  const canonical = [request.method, request.url, '', headers, names, sha256(body)].join('\n')
  const date = String(request.headers['x-amz-date'])
  const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n')
  const key = scope
    .split('/')
    .reduce<string | Buffer>(
      (key, part) => createHmac('sha256', key).update(part).digest(),
      `AWS4${FAKE_CREDENTIALS.secret}`,
    )
  return (
    id === FAKE_CREDENTIALS.id &&
    createHmac('sha256', key).update(toSign).digest('hex') === signature
  )
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
