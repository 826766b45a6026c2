/** The least that the API's stack can do: one Hono route that says 304, in a process of its own. */
import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'

const app = new Hono()
app.get('/', (c) => c.body(null, 304))
const server = createServer(getRequestListener(app.fetch))
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  process.send?.({ port, path: '/', headers: {} })
})
process.on('disconnect', () => process.exit(0))
