/** How a provider and terraform come together: the line on stdout, certificates on both sides, the calls beside the provider's own. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect, type ClientHttp2Session } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { fileURLToPath } from 'node:url'
import {
  makeCertificate,
  type Certificate,
} from '../../clients/terraform-provider/src/core/certificate.ts'

const PROGRAM = fileURLToPath(new URL('../infra/shelf/shelf-main.ts', import.meta.url))
const COOKIE = 'd602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2'
const STARTS = 24
const mine = makeCertificate()

let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'lvsfleet-handshake-'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

const settings = () => ({
  TF_PLUGIN_MAGIC_COOKIE: COOKIE,
  PLUGIN_CLIENT_CERT: mine.certPem,
  PLUGIN_PROTOCOL_VERSIONS: '5,6',
  PLUGIN_UNIX_SOCKET_DIR: folder,
  SHELF_FOLDER: join(folder, 'boxes'),
})

type Started = {
  readonly child: ChildProcess
  readonly socket: string
  readonly der: Buffer
  readonly said: () => string
  readonly ended: Promise<number | null>
}

async function start(): Promise<Started> {
  const { child, said, ended } = launch(settings())
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout?.on('data', () => {
      if (said().includes('\n')) resolve(said())
    })
    child.once('close', () => reject(new Error(`it ended: ${said()}`)))
  })
  const [core, protocol, network, socket = '', kind, text = ''] = line.trimEnd().split('|')
  assert.deepEqual([core, protocol, network, kind], ['1', '6', 'unix', 'grpc'])
  assert.doesNotMatch(text, /=/)
  return { child, socket, der: Buffer.from(text, 'base64'), said, ended }
}

function launch(env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [PROGRAM], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  const ended = new Promise<number | null>((done) => child.once('close', done))
  return { child, said: () => text, ended }
}

/** As terraform does: it trusts the one certificate that it was told on stdout, and shows its own. */
function dial({ socket, der }: Started, client: Certificate): ClientHttp2Session {
  const pem = `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`
  return connect('https://localhost', {
    createConnection: () =>
      connectTls({
        path: socket,
        servername: 'localhost',
        ALPNProtocols: ['h2'],
        ca: pem,
        cert: client.certPem,
        key: client.keyPem,
      }),
  })
}

/** Status of gRPC and the bytes of the answer. */
async function ask(
  session: ClientHttp2Session,
  path: string,
  body: Buffer = Buffer.alloc(5),
): Promise<{ readonly status: string; readonly bytes: Buffer }> {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  let status = ''
  for (const event of ['response', 'trailers'])
    stream.on(event, (headers: Record<string, unknown>) => {
      const told = headers['grpc-status']
      if (typeof told === 'string') status = told
    })
  stream.end(body)
  const cut = new Promise<never>((_, reject) => {
    for (const event of ['error', 'close'])
      session.once(event, () => reject(new Error('the connection was cut')))
  })
  const bytes = await Promise.race([buffer(stream), cut])
  return { status, bytes }
}

describe('a provider that is started', { timeout: 120_000 }, () => {
  test(`says one line, serves who started it, and leaves nothing behind, ${STARTS} times`, async () => {
    const one = async () => {
      const started = await start()
      const session = dial(started, mine)
      const health = await ask(session, '/grpc.health.v1.Health/Check')
      assert.deepEqual([health.status, health.bytes.toString('hex')], ['0', '00000000020801'])
      const schema = await ask(session, '/tfplugin6.Provider/GetProviderSchema')
      assert.equal(schema.status, '0')
      assert.ok(schema.bytes.includes('shelf_box'))
      assert.equal(schema.bytes.readUInt32BE(1), schema.bytes.length - 5)
      assert.equal((await ask(session, '/plugin.GRPCController/Shutdown')).status, '0')
      session.close()
      assert.equal(await started.ended, 0)
      assert.equal(started.said().trimEnd().split('\n').length, 1)
      assert.ok(!existsSync(started.socket))
    }
    for (let n = 0; n < STARTS; n += 4) await Promise.all([one(), one(), one(), one()])
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith('plugin-')),
      [],
    )
  })

  test('serves nobody else, goes on when interrupted, and refuses what it does not know', async () => {
    const started = await start()
    const stranger = dial(started, makeCertificate())
    await assert.rejects(ask(stranger, '/grpc.health.v1.Health/Check'), /cut|TLS|certificate/)
    stranger.destroy()
    started.child.kill('SIGINT')
    const session = dial(started, mine)
    assert.equal((await ask(session, '/grpc.health.v1.Health/Check')).status, '0')
    assert.equal((await ask(session, '/tfplugin6.Provider/GetMetadata')).status, '12')
    const broken = Buffer.from('00000000020aff', 'hex')
    const refused = await ask(session, '/tfplugin6.Provider/PlanResourceChange', broken)
    assert.equal(refused.status, '13')
    assert.equal((await ask(session, '/tfplugin6.Provider/StopProvider')).status, '0')
    await ask(session, '/plugin.GRPCController/Shutdown')
    session.close()
    assert.equal(await started.ended, 0)
  })

  test('says what it is to whoever starts it by hand or speaks another protocol, and ends', async () => {
    const { TF_PLUGIN_MAGIC_COOKIE: _, ...withoutCookie } = settings()
    for (const env of [withoutCookie, { ...settings(), PLUGIN_PROTOCOL_VERSIONS: '5' }]) {
      const { child, said, ended } = launch(env)
      const told = buffer(child.stderr)
      assert.equal(await ended, 1)
      assert.equal(said(), '')
      assert.match((await told).toString(), /provider/)
    }
  })
})
