/** On the loopback and without a mark, which any user may have: what a mark leads to is the lab's to show. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import { ip } from '@lvs-fleet/contract'
import { KernelError } from '../kernel.ts'
import { markedSockets } from './marked-sockets.ts'

const HOSTS = [ip('127.0.0.1'), ip('::1')]
/** 0 = no mark. */
const mark = 0

describe('markedSockets', () => {
  for (const host of HOSTS) {
    it(`connects from the chosen source to ${host}`, async () => {
      const server = createServer((peer) => peer.end(`${peer.remoteAddress}`)).listen(0, host)
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      const socket = markedSockets.connect({ mark, source: host, address: host, port })
      const [answer] = (await once(socket, 'data')) as [Buffer]
      assert.equal(answer.toString(), host)
      await once(socket, 'close')
      server.close()
    })

    it(`tells a refused connection to ${host}`, async () => {
      const port = await closedPort(host)
      const socket = markedSockets.connect({ mark, source: host, address: host, port })
      const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
      assert.equal(error.code, 'ECONNREFUSED')
    })

    it(`hears of a closed port of ${host} that a datagram arrived, up to the MTU of the loopback`, async () => {
      const to = { mark, source: host, address: host, port: await closedPort(host) }
      assert.equal(await markedSockets.sendDatagram(to, 1_500, 2_000), 'arrived')
      assert.equal(await markedSockets.sendDatagram(to, 48, 2_000), 'arrived')
    })

    it(`waits no longer than told where ${host} says nothing`, async () => {
      const mute = createSocket(host === '::1' ? 'udp6' : 'udp4')
      mute.bind(0, host)
      await once(mute, 'listening')
      const { port } = mute.address()
      const fate = await markedSockets.sendDatagram(
        { mark, source: host, address: host, port },
        500,
        50,
      )
      assert.equal(fate, 'silent')
      mute.close()
    })
  }

  it('refuses a source that is not of this host, by name, and leaves no descriptor open', () => {
    const before = openDescriptors()
    const dial = { mark, source: ip('192.0.2.77'), address: ip('127.0.0.1'), port: 9 }
    for (let n = 0; n < 20; n++) {
      assert.throws(
        () => markedSockets.connect(dial),
        (error) => error instanceof KernelError && /192\.0\.2\.77/.test(error.message),
      )
    }
    assert.equal(openDescriptors(), before)
  })

  it('takes hundreds at once and closes every one', async () => {
    const host = ip('127.0.0.1')
    const port = await closedPort(host)
    const before = openDescriptors()
    const dial = { mark, source: host, address: host, port }
    const fates = await Promise.all(
      Array.from({ length: 300 }, () => markedSockets.sendDatagram(dial, 200, 5_000)),
    )
    assert.ok(fates.every((fate) => fate === 'arrived'))
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(openDescriptors(), before)
  })
})

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length
}

/** One that was free a moment ago. */
async function closedPort(host: string): Promise<number> {
  const socket = createSocket(host === '::1' ? 'udp6' : 'udp4')
  socket.bind(0, host)
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  await once(socket, 'close')
  return port
}
