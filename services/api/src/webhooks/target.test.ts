import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { post } from './post.ts'
import { refuseAddress, refuseUrl } from './target.ts'

const STRICT = { allowHttp: false }
const LAX = { allowHttp: true }

test('addresses: this machine and others by https, never where clouds answer their guests', () => {
  const rows: [string, string, boolean][] = [
    ['127.0.0.1', 'http:', true],
    ['::1', 'http:', true],
    ['::ffff:127.0.0.1', 'http:', true],
    ['10.0.0.1', 'http:', false],
    ['10.0.0.1', 'https:', true],
    ['2001:db8::1', 'https:', true],
    ['169.254.169.254', 'https:', false],
    ['::ffff:169.254.169.254', 'https:', false],
    ['::ffff:a9fe:a9fe', 'https:', false],
    ['64:ff9b::a9fe:a9fe', 'https:', false],
    ['64:ff9b::808:808', 'https:', true],
    ['::169.254.169.254', 'https:', false],
    ['fe80::1', 'https:', false],
    ['fe80::1%eth0', 'https:', false],
    ['fd00:ec2::254', 'https:', false],
    ['0.0.0.0', 'https:', false],
    ['::', 'https:', false],
    ['224.0.0.1', 'https:', false],
    ['255.255.255.255', 'https:', false],
    ['100.100.100.200', 'https:', false],
    ['2002:a9fe:a9fe::1', 'https:', false],
    ['name', 'https:', false],
  ]
  for (const [address, protocol, allowed] of rows) {
    assert.equal(
      refuseAddress(address, protocol, STRICT) === undefined,
      allowed,
      `${protocol} ${address}`,
    )
  }
})

test('what is allowed by setting is plain http, and nothing else', () => {
  assert.equal(refuseUrl('http://hooks.example/', LAX), undefined)
  assert.equal(refuseAddress('10.0.0.1', 'http:', LAX), undefined)
  assert.match(refuseAddress('169.254.169.254', 'http:', LAX) ?? '', /link-local/)
})

test('where this machine is no receiver it is refused under each of its names', () => {
  const rules = { allowHttp: true, refuseLoopback: true }
  for (const url of [
    'http://localhost:9001/',
    'https://api.localhost/',
    'http://127.0.0.1:9001/2018-06-01/runtime/invocation/next',
    'http://[::1]/',
    'https://[::ffff:127.0.0.1]/',
  ])
    assert.match(refuseUrl(url, rules) ?? '', /this machine/, url)
  assert.match(refuseAddress('127.0.0.1', 'https:', rules) ?? '', /this machine/)
  assert.equal(refuseUrl('https://hooks.example/', rules), undefined)
})

test('a name that leads to a forbidden address is refused when it is connected to', async () => {
  let asked = 0
  const server = createServer((_, response) => {
    asked++
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const send = (target: string, resolve?: Parameters<typeof post>[2]['resolve']) =>
    post(
      target,
      { headers: {}, body: '{}' },
      {
        rules: STRICT,
        timeoutMs: 2_000,
        signal: new AbortController().signal,
        ...(resolve === undefined ? {} : { resolve }),
      },
    )
  assert.equal((await send(`http://localhost:${address.port}/`)).is, 'taken')
  assert.equal(asked, 1)
  for (const target of [
    `http://169.254.169.254:${address.port}/`,
    `http://[::ffff:a9fe:a9fe]:${address.port}/`,
  ]) {
    const posted = await send(target)
    assert.ok(posted.is === 'failed' && posted.error.includes('link-local'), target)
  }
  const answers: Record<string, string[]> = {
    'rebound.example': ['169.254.169.254'],
    'half.example': ['127.0.0.1', 'fe80::1'],
    'inside.example': ['10.0.0.1'],
    'good.example': ['127.0.0.1'],
  }
  const ends = await Promise.all(
    Object.keys(answers).map((name) =>
      send(`http://${name}:${address.port}/`, (host, _, callback) =>
        callback(
          null,
          (answers[host] ?? []).map((one) => ({ address: one, family: one.includes(':') ? 6 : 4 })),
        ),
      ),
    ),
  )
  assert.deepEqual(
    ends.map((end) =>
      end.is === 'failed' ? end.error.replace(/^.*?(link|plain).*$/, '$1') : 'taken',
    ),
    ['link', 'link', 'plain', 'taken'],
  )
  assert.equal(asked, 2)
  server.close()
})
