/**
 * What AWS does before a function: HTTP → event of a Function URL (payload version 2) → an instance → HTTP. An instance
 * has one request at a time; the requests go to the instances in turn, so that two of one client meet different ones.
 */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import * as z from 'zod'
import { startInstance, type Instance } from './instance.ts'

export type Front = {
  readonly url: string
  readonly instances: readonly Instance[]
  /** The next requests go to this one alone; undefined = in turn. */
  use: number | undefined
  readonly close: () => Promise<void>
}

const resultSchema = z.object({
  statusCode: z.int(),
  headers: z.record(z.string(), z.string()).default({}),
  cookies: z.array(z.string()).default([]),
  body: z.string().default(''),
  isBase64Encoded: z.boolean().default(false),
})

export async function startFront(
  count: number,
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<Front> {
  const instances = await Promise.all(
    Array.from({ length: count }, () => startInstance(folder, 'lambda.handler', env)),
  )
  let turn = 0
  const server = createServer(async (request, response) => {
    const instance = instances[front.use ?? turn++ % instances.length]
    const event = eventOf(request, await text(request))
    const invoked = await instance?.invoke(event)
    if (invoked?.ok !== true) {
      response.writeHead(502).end(JSON.stringify({ message: 'Internal Server Error' }))
      return
    }
    const result = resultSchema.parse(invoked.payload)
    response.writeHead(result.statusCode, { ...result.headers, 'set-cookie': result.cookies })
    response.end(Buffer.from(result.body, result.isBase64Encoded ? 'base64' : 'utf8'))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const front: Front = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    instances,
    use: undefined,
    close: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
      await Promise.all(instances.map((instance) => instance.close()))
    },
  }
  return front
}

/** Headers as Lambda gives them: small letters, one value each, joined by commas; cookies apart. */
export function eventOf(request: IncomingMessage, body: string): object {
  const { cookie, ...rest } = request.headers
  const [rawPath = '/', rawQueryString = ''] = (request.url ?? '/').split('?')
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath,
    rawQueryString,
    ...(cookie === undefined ? {} : { cookies: cookie.split('; ') }),
    headers: Object.fromEntries(
      Object.entries(rest).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join(',') : value,
      ]),
    ),
    requestContext: {
      accountId: 'anonymous',
      apiId: 'url',
      domainName: 'url.lambda-url.eu-central-1.on.aws',
      http: {
        method: request.method,
        path: rawPath,
        protocol: 'HTTP/1.1',
        sourceIp: request.socket.remoteAddress,
        userAgent: request.headers['user-agent'] ?? '',
      },
      requestId: 'id',
      routeKey: '$default',
      stage: '$default',
      timeEpoch: Date.now(),
    },
    ...(body === '' ? {} : { body }),
    isBase64Encoded: false,
  }
}
