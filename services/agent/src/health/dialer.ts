/** The plain dialer: sockets that go where the director's routes lead. */
import { familyOf, type Ip } from '@lvs-fleet/contract'
import { startDeadline } from './deadline.ts'
import type { Datagrams, Dialer } from './probe.ts'

export const plainDialer: Dialer = {
  dialTcp: ({ address, port, timeoutMs }) =>
    new Promise((resolve, reject) => {
      const { connect } = process.getBuiltinModule('node:net')
      const socket = connect({ host: address, port })
      // An agent that stops does not wait for it.
      socket.unref()
      const cancel = startDeadline(timeoutMs, () => {
        socket.destroy(Object.assign(new Error('no connection'), { code: 'ETIMEDOUT' }))
      })
      const fail = (error: Error): void => {
        cancel()
        reject(error)
      }
      socket.once('error', fail)
      socket.once('connect', () => {
        cancel()
        socket.off('error', fail)
        resolve(socket)
      })
    }),
  dialUdp: ({ address, port }) =>
    new Promise((resolve, reject) => {
      const socket = createDatagramSocket(address)
      const fail = (error: Error): void => {
        socket.close()
        reject(error)
      }
      socket.once('error', fail)
      socket.connect(port, address, () => {
        socket.off('error', fail)
        resolve(datagramsOf(socket))
      })
    }),
}

type DatagramSocket = ReturnType<typeof createDatagramSocket>

function createDatagramSocket(address: Ip) {
  const { createSocket } = process.getBuiltinModule('node:dgram')
  return createSocket(familyOf(address) === 'ipv4' ? 'udp4' : 'udp6').unref()
}

function datagramsOf(socket: DatagramSocket): Datagrams {
  return {
    send: (bytes) =>
      socket.send(bytes, (error) => {
        if (error !== null) socket.emit('error', error)
      }),
    onMessage: (listener) => socket.on('message', (bytes) => listener(bytes)),
    onError: (listener) => socket.on('error', listener),
    close: () => socket.close(),
  }
}
