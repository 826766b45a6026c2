/**
 * What is checked in the benchmark: answers every request with a small body, in a process of its own. Given a port, it
 * listens on it at every address of its network namespace.
 */
import { createServer } from 'node:net'

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok'

const server = createServer((socket) => {
  socket.on('error', () => {})
  socket.once('data', () => socket.end(ANSWER))
})
const port = Number(process.argv[2] ?? 0)
const host = port === 0 ? '127.0.0.1' : '0.0.0.0'
server.listen({ port, host, backlog: 4_096 }, () => {
  const address = server.address()
  process.send?.({ port: typeof address === 'object' && address !== null ? address.port : 0 })
})
process.on('disconnect', () => process.exit(0))
