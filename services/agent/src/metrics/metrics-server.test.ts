import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test, type TestContext } from 'node:test'
import { serveMetrics } from './metrics-server.ts'

async function serve(t: TestContext, text: () => Promise<string> = async () => 'a 1\n') {
  const server = await serveMetrics({ host: '127.0.0.1', port: 0 }, text)
  t.after(() => server.close())
  return server
}

/** What comes back until the server closes. */
function say(port: number, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(request))
    socket.on('data', (bytes) => (said += bytes.toString()))
    socket.on('close', () => resolve(said))
    socket.on('error', reject)
  })
}

test('answers GET /metrics as Prometheus and browsers ask for it', async (t) => {
  const { port } = await serve(t)
  const answer = await fetch(`http://127.0.0.1:${port}/metrics?a=b`)
  assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  assert.equal(await answer.text(), 'a 1\n')
  const head = await fetch(`http://127.0.0.1:${port}/metrics`, { method: 'HEAD' })
  assert.equal(head.headers.get('content-length'), '4')
})

test('refuses everything else in one line', async (t) => {
  const { port } = await serve(t)
  assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404)
  const posted = await fetch(`http://127.0.0.1:${port}/metrics`, { method: 'POST', body: 'x' })
  assert.equal(posted.status, 405)
  assert.match(
    await say(port, `GET /metrics HTTP/1.1\r\nx: ${'y'.repeat(9_000)}`),
    /^HTTP\/1.1 431 /,
  )
  assert.match(await say(port, 'nonsense\r\n\r\n'), /^HTTP\/1.1 405 /)
})

test('says why where nothing can be read, and lives on', async (t) => {
  let isBroken = true
  const { port } = await serve(t, async () => {
    if (isBroken) throw new Error('list services: ETIMEDOUT')
    return 'a 1\n'
  })
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`)
  assert.deepEqual([answer.status, await answer.text()], [503, 'list services: ETIMEDOUT\n'])
  isBroken = false
  assert.equal((await fetch(`http://127.0.0.1:${port}/metrics`)).status, 200)
})

test('a port that is taken is an error at once', async (t) => {
  const { port } = await serve(t)
  await assert.rejects(
    serveMetrics({ host: '127.0.0.1', port }, async () => ''),
    /EADDRINUSE/,
  )
})
