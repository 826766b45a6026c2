/**
 * A provider as a process of terraform's: the handshake of its plugins on stdout, then gRPC over HTTP/2 with TLS on a Unix
 * socket, both sides with a certificate. Takes what the provider does with values; knows nothing of what they mean.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createSecureServer, type ServerHttp2Stream } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { makeCertificate } from './certificate.ts'
import { call } from './calls.ts'
import { METHODS, type Method } from './messages.ts'
import type { Provider } from './provider.ts'
import { decode, encode } from './wire.ts'

/** What terraform sets for its plugins, so that nobody takes one for a program of its own. */
const MAGIC_COOKIE = 'd602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2'
const PROTOCOL = '6'
const INTERNAL = '13'
const UNIMPLEMENTED = '12'

type Environment = Readonly<Record<string, string | undefined>>

/** Ends with the process, when terraform shuts it down. */
export function serveProvider(provider: Provider, env: Environment): void {
  if (env['TF_PLUGIN_MAGIC_COOKIE'] !== MAGIC_COOKIE) {
    process.stderr.write('this is a provider of Terraform, which starts it by itself\n')
    process.exitCode = 1
    return
  }
  const spoken = env['PLUGIN_PROTOCOL_VERSIONS']
  if (spoken !== undefined && !spoken.split(',').includes(PROTOCOL)) {
    process.stderr.write(`this provider speaks protocol ${PROTOCOL}, and terraform ${spoken}\n`)
    process.exitCode = 1
    return
  }
  // Ctrl-C reaches the whole group; what is under way is finished, because terraform waits for it.
  process.on('SIGINT', () => {})
  const certificate = makeCertificate()
  const folder = mkdtempSync(join(env['PLUGIN_UNIX_SOCKET_DIR'] ?? tmpdir(), 'plugin-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const server = createSecureServer({
    key: certificate.keyPem,
    cert: certificate.certPem,
    ca: [env['PLUGIN_CLIENT_CERT'] ?? ''],
    requestCert: true,
    rejectUnauthorized: true,
  })
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    void handle(provider, stream, String(headers[':path']))
  })
  const socket = join(folder, 'provider.sock')
  server.listen(socket, () => {
    const der = certificate.der.toString('base64').replaceAll('=', '')
    process.stdout.write(`1|${PROTOCOL}|unix|${socket}|grpc|${der}\n`)
  })
}

/** One call of gRPC. Exported for a provider that stands by itself, to which terraform is told to attach. */
export async function handle(
  provider: Provider,
  stream: ServerHttp2Stream,
  path: string,
): Promise<void> {
  const [, service = '', method = ''] = path.split('/')
  // Both stay open for as long as the process lives.
  if (method === 'StartStream' || method === 'StreamStdio') {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
    return
  }
  try {
    const request = (await buffer(stream)).subarray(5)
    if (service === 'grpc.health.v1.Health') return answer(stream, Buffer.from([0x08, 1]))
    if (method === 'Shutdown') {
      stream.once('close', () => process.exit(0))
      return answer(stream, Buffer.alloc(0))
    }
    if (!isMethod(method)) return refuse(stream, UNIMPLEMENTED, `${path} is unknown`)
    const fields = decode(METHODS[method].request, request)
    return answer(stream, encode(METHODS[method].response, await call(provider, method, fields)))
  } catch (error) {
    return refuse(
      stream,
      INTERNAL,
      error instanceof Error ? (error.stack ?? error.message) : String(error),
    )
  }
}

function isMethod(name: string): name is Method {
  return Object.hasOwn(METHODS, name)
}

function answer(stream: ServerHttp2Stream, message: Buffer): void {
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(message.length, 1)
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  stream.end(Buffer.concat([prefix, message]))
}

function refuse(stream: ServerHttp2Stream, status: string, text: string): void {
  stream.respond(
    {
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': status,
      'grpc-message': encodeURIComponent(text),
    },
    { endStream: true },
  )
}
