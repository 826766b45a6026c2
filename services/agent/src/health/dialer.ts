/**
 * Dialers: by which way a probe's packets leave. The plain one goes where the director's routes lead; the one of a path
 * takes marked sockets, which IPVS forwards to one real server as it forwards clients.
 */
import type { Socket as DatagramSocket } from 'node:dgram'
import type { Socket } from 'node:net'
import { familyOf, type CheckWay } from '@lvs-fleet/contract'
import type { PathSockets } from '../kernel/path/path-sockets.ts'
import { startDeadline } from './deadline.ts'
import type { Datagrams, Dialer, Endpoint } from './probe.ts'

export const plainDialer: Dialer = {
  dialTcp: ({ address, port, timeoutMs }) => {
    const { connect } = process.getBuiltinModule('node:net')
    return connected(connect({ host: address, port }), timeoutMs)
  },
  dialUdp: (to) => {
    const { createSocket } = process.getBuiltinModule('node:dgram')
    const socket = createSocket(familyOf(to.address) === 'ipv4' ? 'udp4' : 'udp6')
    return connectedDatagrams(socket, to)
  },
}

/** `open`: asked with the first probe, since marked sockets cost memory where nobody needs them. */
export function pathDialer(
  { mark, source }: Extract<CheckWay, { is: 'path' }>,
  open: () => Promise<PathSockets>,
): Dialer {
  return {
    dialTcp: async ({ address, port, timeoutMs }) => {
      const sockets = await open()
      return connected(sockets.connect({ mark, source, address, port }), timeoutMs)
    },
    dialUdp: async (to) => {
      const sockets = await open()
      return connectedDatagrams(sockets.datagrams({ mark, source }), to)
    },
  }
}

function connected(socket: Socket, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
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
  })
}

function connectedDatagrams(
  socket: DatagramSocket,
  { address, port }: Endpoint,
): Promise<Datagrams> {
  return new Promise((resolve, reject) => {
    socket.unref()
    const fail = (error: Error): void => {
      socket.close()
      reject(error)
    }
    socket.once('error', fail)
    socket.connect(port, address, () => {
      socket.off('error', fail)
      resolve(datagramsOf(socket))
    })
  })
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
