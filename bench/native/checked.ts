/** What is checked in the benchmark: answers every request with a small body, in a process of its own. */
import { createServer } from 'node:net'

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok'

const server = createServer((socket) => {
  socket.on('error', () => {})
  socket.once('data', () => socket.end(ANSWER))
})
server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => {
  const address = server.address()
  process.send?.({ port: typeof address === 'object' && address !== null ? address.port : 0 })
})
process.on('disconnect', () => process.exit(0))
