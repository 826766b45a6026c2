// Gives the hosts of the topology the API that runs beside the test on the host machine: a TCP
// listener on the management bridge whose connections travel over the control channel.
// Off means that nothing listens, so a client sees what a dead API looks like: refused, or reset.
import { createServer, type Server, type Socket } from 'node:net'
import type { Channel, ChannelStream } from '../channel/channel.ts'

export class Relay {
  private readonly channel: Channel
  private server: Server | undefined

  constructor(channel: Channel) {
    this.channel = channel
  }

  async listen(address: string, port: number): Promise<void> {
    if (this.server) return
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      join(socket, this.channel.open())
    })
    this.server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: address, port, backlog: 512 }, resolve)
    })
  }

  close(): void {
    this.server?.close()
    this.server = undefined
    this.channel.resetStreams()
  }
}

/**
 * A reset on either side becomes a reset on the other; an end travels as an end. A socket that closed
 * in good order leaves its stream alone: that may still have bytes to send.
 */
export function join(socket: Socket, stream: ChannelStream): void {
  socket.on('error', () => stream.destroy())
  socket.on('close', () => {
    if (!socket.readableEnded) stream.destroy()
  })
  stream.on('error', () => socket.resetAndDestroy())
  stream.on('close', () => {
    if (!stream.readableEnded || !stream.writableFinished) socket.resetAndDestroy()
  })
  socket.pipe(stream)
  stream.pipe(socket)
}
