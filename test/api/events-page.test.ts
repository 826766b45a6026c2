/** docs/events.md: the table of kinds is the code's, and the receiver that it shows accepts what is sent, and nothing else. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { EVENT_KINDS } from '../../services/api/src/status/event.ts'
import { newWebhookSecret, signedHeaders } from '../../services/api/src/webhooks/sign.ts'
import { root } from './run-cli.ts'

const PAGE = `${root}docs/events.md`
const TABLE = /(<!-- kinds -->\n)[\s\S]*?(<!-- \/kinds -->)/

test('lists every kind with what it tells', () => {
  const rows = Object.entries(EVENT_KINDS).map(([kind, tells]) => `| \`${kind}\` | ${tells} |`)
  const table = ['| kind | what it tells |', '|---|---|', ...rows, ''].join('\n')
  const text = readFileSync(PAGE, 'utf8')
  assert.match(text, TABLE)
  const fresh = text.replace(TABLE, (_, begin: string, end: string) => `${begin}${table}${end}`)
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(PAGE, fresh)
  else assert.equal(text, fresh, 'stale: run this test with UPDATE_DOCS=1')
})

test('the receiver of the page accepts ours, and nothing that was changed, is old, or of another', async () => {
  const [, code = ''] = /```js\n([\s\S]*?)```/.exec(readFileSync(PAGE, 'utf8')) ?? []
  const module: unknown = await import(
    `data:text/javascript,${encodeURIComponent(`${code}\nexport { isOurs }`)}`
  )
  assert.ok(typeof module === 'object' && module !== null && 'isOurs' in module)
  const { isOurs } = module
  assert.ok(typeof isOurs === 'function')
  const secret = newWebhookSecret()
  const body = '{"type":"host.held"}'
  const headers = signedHeaders(secret, { id: 'evt_1', at: new Date(), body })
  const old = signedHeaders(secret, { id: 'evt_1', at: new Date(Date.now() - 3_600_000), body })
  const says = (...given: unknown[]): unknown => isOurs(...given)
  assert.equal(says(secret, headers, body), true)
  assert.equal(says(secret, headers, `${body} `), false)
  assert.equal(says(secret, { ...headers, 'webhook-id': 'evt_2' }, body), false)
  assert.equal(says(secret, old, body), false)
  assert.equal(says(secret, {}, body), false)
  assert.equal(says(newWebhookSecret(), headers, body), false)
})

test('signs as the specification says, by its own example', () => {
  // github.com/standard-webhooks/standard-webhooks, spec: the example of section "Signature scheme".
  const headers = signedHeaders('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', {
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    at: new Date(1_614_265_330_000),
    body: '{"test": 2432232314}',
  })
  assert.equal(headers['webhook-signature'], 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
})
