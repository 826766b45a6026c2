import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { ip, type CheckWay } from '@lvs-fleet/contract'
import { createFakeClock } from '../../../../test/fakes/fake-clock.ts'
import { FakePathSockets } from '../../../../test/fakes/fake-path-sockets.ts'
import { pathDialer } from './dialer.ts'

const WAY: Extract<CheckWay, { is: 'path' }> = {
  is: 'path',
  mark: 0x4d00_0007,
  vip: ip('10.1.0.100'),
  port: 80,
  source: ip('10.1.0.10'),
}

function sockets() {
  const fake = new FakePathSockets(createFakeClock())
  return { fake, dialer: pathDialer(WAY, async () => fake) }
}

test('TCP goes by the mark and from the source of its path, to the VIP', async (t) => {
  const server = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const { fake, dialer } = sockets()
  fake.behind.set(WAY.mark, { carries: 1_480, otherwise: 'silent', port: address.port })
  const socket = await dialer.dialTcp({ address: WAY.vip, port: 80, timeoutMs: 2_000 })
  socket.ref()
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  assert.equal(bytes.toString(), 'hello')
  socket.destroy()
  const { mark, source, vip } = WAY
  assert.deepEqual(fake.dialled, [{ mark, source, address: vip, port: 80 }])
})

test('a refusal on the path is a refusal, and a socket that cannot be opened says why', async () => {
  const { dialer } = sockets()
  const to = { address: WAY.vip, port: 80, timeoutMs: 2_000 }
  await assert.rejects(dialer.dialTcp(to), { code: 'ECONNREFUSED' })
  const broken = pathDialer(WAY, () => Promise.reject(new Error('EPERM')))
  await assert.rejects(broken.dialTcp(to), /EPERM/)
  await assert.rejects(broken.dialUdp(to), /EPERM/)
})

test('UDP goes by the same mark', async (t) => {
  const server = createSocket('udp4')
  server.on('message', (bytes, { port, address }) => server.send(bytes, port, address))
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { fake, dialer } = sockets()
  const over = await dialer.dialUdp({ address: ip('127.0.0.1'), port: server.address().port })
  const answer = new Promise<string>((resolve) => {
    over.onMessage((bytes) => resolve(Buffer.from(bytes).toString()))
  })
  over.send(Buffer.from('ping'))
  assert.equal(await answer, 'ping')
  over.close()
  assert.deepEqual(fake.opened, [{ mark: WAY.mark, source: WAY.source }])
})
