// The guest's end of the control channel: a character device on fd 3 (virtio-serial port or UML
// terminal), read and written by libuv's thread pool since such devices do not all support epoll.
import * as fs from 'node:fs'
import type { Wire } from '../channel/channel.ts'

const READ_SIZE = 128 * 1024
const WRITE_SIZE = 128 * 1024
const CONNECT_RETRY_MS = 20
const CONNECT_TRIES = 1000

export function deviceWire(
  fd: number,
  on: { data(bytes: Buffer): void; end(reason: string): void },
): Wire {
  let queue: Buffer[] = []
  let writing = false
  let heard = false
  let patience = CONNECT_TRIES

  const read = () => {
    fs.read(fd, Buffer.allocUnsafe(READ_SIZE), 0, READ_SIZE, null, (error, size, bytes) => {
      if (error) return on.end(error.message)
      // A virtio port reads as ended until the guest's driver has learnt that the host is there.
      if (size === 0 && !heard && patience-- > 0) return void setTimeout(read, CONNECT_RETRY_MS)
      if (size === 0) return on.end('the host closed the channel')
      heard = true
      on.data(bytes.subarray(0, size))
      read()
    })
  }
  const write = () => {
    if (writing || queue.length === 0) return
    const all = queue.length === 1 && queue[0] ? queue[0] : Buffer.concat(queue)
    const bytes = all.subarray(0, WRITE_SIZE)
    writing = true
    fs.write(fd, bytes, 0, bytes.length, null, (error, size) => {
      writing = false
      if (error) return on.end(error.message)
      const rest = all.subarray(size)
      queue = rest.length > 0 ? [rest, ...queue] : queue
      write()
    })
    queue = []
  }

  read()
  return {
    send(bytes) {
      queue.push(bytes)
      write()
    },
    close() {
      queue = []
    },
  }
}
