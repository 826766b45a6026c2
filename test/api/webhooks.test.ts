/** Webhooks against receivers that verify, fail, dawdle, redirect and flood; over restarts and several processes. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { makeEvent } from '../../services/api/src/status/event.ts'
import { appendEvents } from '../../services/api/src/store/event-store.ts'
import { keepEvents } from '../../services/api/src/verbs/housekeeping.ts'
import { startApiProcess } from './process.ts'
import { startTestApi, type JsonBody, type TestApi } from './harness.ts'

const QUICK = { timeoutMs: 400, firstRetryMs: 20, idleMs: 50 }

type Received = {
  readonly headers: IncomingMessage['headers']
  readonly body: string
  readonly data: JsonBody
  readonly atMs: number
}

/** A receiver that answers as it is told; everything it got is kept. */
async function makeReceiver(answer: (got: Received, response: ServerResponse) => void) {
  const got: Received[] = []
  const behave = { answer }
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => (body += text))
    request.on('end', () => {
      const one = {
        headers: request.headers,
        body,
        data: JSON.parse(body || '{}').data,
        atMs: Date.now(),
      }
      got.push(one)
      behave.answer(one, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return {
    got,
    behave,
    url: `http://127.0.0.1:${address.port}/hook?token=x`,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

const ok = (_: Received, response: ServerResponse): void => void response.end('thanks')
const status =
  (code: number, headers: Record<string, string> = {}) =>
  (_: Received, response: ServerResponse): void =>
    void response.writeHead(code, headers).end()

async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 10_000,
): Promise<void> {
  const began = performance.now()
  while (!(await holds())) {
    assert.ok(performance.now() - began < timeoutMs, what)
    await sleep(10)
  }
}

function verifies(secret: string, { headers, body, atMs }: Received): boolean {
  const [id, at] = [headers['webhook-id'], headers['webhook-timestamp']].map(String)
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64')
  const wanted = createHmac('sha256', key).update(`${id}.${at}.${body}`).digest('base64')
  assert.ok(Math.abs(atMs / 1_000 - Number(at)) < 30)
  return headers['webhook-signature'] === `v1,${wanted}`
}

const subjects = (got: readonly Received[]): string[] => got.map(({ data }) => data.subject)

describe('webhooks', () => {
  let api: TestApi
  let other: TestApi
  /** Seconds by which the clocks of both are ahead. */
  let late = 0
  const now = () => new Date(Date.now() + late * 1_000)

  before(async () => {
    api = await startTestApi({ delivererTimes: QUICK, now })
    other = await startTestApi({ beside: api, delivererTimes: QUICK, now })
  })
  after(async () => {
    await other.close()
    await api.close()
  })

  const tell = async (...subjects: string[]) => {
    const list = subjects.map((subject) =>
      makeEvent({
        kind: 'state.rejected',
        severity: 'error',
        at: new Date(),
        subject,
        message: subject,
      }),
    )
    await api.deps.database.db.transaction((tx) => appendEvents(tx, list, new Date()))
  }
  const create = async (name: string, url: string, more: object = {}) => {
    const body = { name, url, kinds: ['state.rejected'], ...more }
    const made = await api.call('POST', '/v1/webhooks', body)
    assert.equal(made.status, 201, made.text)
    return made.body
  }
  const find = async (name: string): Promise<JsonBody> =>
    (await api.call('GET', '/v1/webhooks')).body.items.find((one: JsonBody) => one.name === name)
  const remove = async ({ id }: JsonBody) =>
    assert.equal((await api.call('DELETE', `/v1/webhooks/${id}`)).status, 200)
  test('every event that matches comes once, in order, and its signature verifies', async () => {
    const receiver = await makeReceiver(ok)
    const hook = await create('all', receiver.url)
    assert.match(hook.secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
    await tell('a', 'b')
    await api.call('POST', '/v1/join-tokens', { role: 'director', site: 'none' })
    await tell('c')
    await until(() => receiver.got.length === 3, 'three deliveries')
    await until(async () => (await find('all')).behind === 0, 'all is looked at')
    assert.deepEqual(subjects(receiver.got), ['a', 'b', 'c'])
    for (const one of receiver.got) {
      assert.ok(verifies(hook.secret, one))
      assert.ok(!verifies(`whsec_${Buffer.alloc(32).toString('base64')}`, one))
      assert.equal(one.headers['webhook-id'], `evt_${one.data.id}`)
      const { type, timestamp } = JSON.parse(one.body)
      assert.deepEqual([type, timestamp], ['state.rejected', one.data.at])
    }
    await remove(hook)
    receiver.close()
  })

  test('what fails is tried again in its place, with the same id; the rest waits and comes in order', async () => {
    let left = 3
    const receiver = await makeReceiver((one, response) =>
      status(one.data.subject === 'bad' && left-- > 0 ? 500 : 204)(one, response),
    )
    const hook = await create('again', receiver.url)
    await tell('good', 'bad', 'later')
    await until(() => receiver.got.length === 6, 'retries')
    assert.deepEqual(subjects(receiver.got), ['good', 'bad', 'bad', 'bad', 'bad', 'later'])
    assert.equal(
      new Set(receiver.got.slice(1, 5).map(({ headers }) => headers['webhook-id'])).size,
      1,
    )
    await until(async () => (await find('again')).status === 'ok', 'well again')
    await remove(hook)
    receiver.close()
  })

  test('slow ones, endless answers and redirects are failures that are shown, and delay nobody else', async () => {
    const target = await makeReceiver(ok)
    const bad: Record<string, [(got: Received, response: ServerResponse) => void, RegExp]> = {
      slow: [() => {}, /no whole answer within 400 ms/],
      trickle: [
        (_, response) => void response.writeHead(200).write('x'),
        /no whole answer within 400 ms/,
      ],
      moved: [status(307, { location: target.url }), /answered 307: redirects are not followed/],
      reset: [(_, response) => void response.destroy(), /socket hang up|ECONNRESET/],
      broken: [status(503), /answered 503/],
    }
    const receivers = await Promise.all(Object.values(bad).map(([answer]) => makeReceiver(answer)))
    const hooks = await Promise.all(
      Object.keys(bad).map((name, i) => create(name, receivers[i]?.url ?? '')),
    )
    const well = await create('well', target.url)
    const before = Number((await api.call('GET', '/v1/events?after=latest')).body.cursor)
    await tell('x')
    await until(() => target.got.length === 1, 'the well one is not delayed')
    for (const [name, [, error]] of Object.entries(bad)) {
      await until(async () => (await find(name)).attempts >= 2, name)
      const shown = await find(name)
      assert.equal(shown.status, 'failing')
      assert.match(shown.lastError, error, name)
      assert.ok(shown.deliveredId <= before, name)
    }
    assert.equal(target.got.length, 1, 'no redirect was followed')
    await Promise.all([...hooks, well].map(remove))
    for (const one of [target, ...receivers]) one.close()
  })

  test('an answer without end is read to a bound only', async () => {
    const receiver = await makeReceiver((_, response) => {
      response.writeHead(200)
      const fill = () => {
        while (!response.destroyed && response.write('x'.repeat(10_000)));
      }
      response.on('drain', fill).on('error', () => {})
      fill()
    })
    const hook = await create('flood', receiver.url)
    await tell('x')
    await until(async () => (await find('flood')).deliveredAt !== null, 'taken after 64 KiB')
    await remove(hook)
    receiver.close()
  })

  test('given up after its hours, with an event that others get, and resumed where it stood', async () => {
    const receiver = await makeReceiver(status(500))
    const listener = await makeReceiver(ok)
    const hook = await create('tired', receiver.url, { giveUpHours: 1 })
    const watch = await create('watch', listener.url, { kinds: ['webhook.gave-up'] })
    await tell('x', 'y')
    await until(async () => (await find('tired')).attempts > 0, 'it fails')
    late = 3_700
    await until(async () => (await find('tired')).status === 'gave-up', 'gives up')
    await until(() => listener.got.length === 1, 'told to others')
    late = 0
    assert.match(
      listener.got[0]?.data.message,
      /^webhook tired is stopped at event \d+: \d+ attempts: answered 500; lvsfleet webhook resume tired$/,
    )
    receiver.behave.answer = ok
    receiver.got.length = 0
    assert.equal((await api.call('POST', `/v1/webhooks/${hook.id}/resume`)).body.status, 'ok')
    await until(() => receiver.got.length === 2, 'goes on')
    assert.deepEqual(subjects(receiver.got), ['x', 'y'])
    await Promise.all([remove(hook), remove(watch)])
    receiver.close()
    listener.close()
  })

  test('410 means that the receiver wants no more', async () => {
    const receiver = await makeReceiver(status(410))
    const hook = await create('gone', receiver.url)
    await tell('x')
    await until(async () => (await find('gone')).status === 'gave-up', 'gone')
    assert.equal(receiver.got.length, 1)
    await remove(hook)
    receiver.close()
  })

  test('a paused one keeps its place', async () => {
    const receiver = await makeReceiver(ok)
    const hook = await create('rest', receiver.url)
    assert.equal((await api.call('POST', `/v1/webhooks/${hook.id}/pause`)).body.status, 'paused')
    await tell('x', 'y')
    await sleep(300)
    assert.equal(receiver.got.length, 0)
    await api.call('POST', `/v1/webhooks/${hook.id}/resume`)
    await until(() => receiver.got.length === 2, 'goes on')
    await remove(hook)
    receiver.close()
  })

  test('one process delivers at a time, whoever of them: nothing is doubled while all are well', async () => {
    const receiver = await makeReceiver(
      (one, response) => void setTimeout(() => ok(one, response), 5),
    )
    const hook = await create('once', receiver.url)
    const names = Array.from({ length: 150 }, (_, n) => `n${n}`)
    for (let i = 0; i < names.length; i += 10) await tell(...names.slice(i, i + 10))
    await until(() => receiver.got.length >= names.length, 'all')
    await sleep(200)
    assert.deepEqual(subjects(receiver.got), names)
    await remove(hook)
    receiver.close()
  })

  test('what a process had under way when it died is sent by another, and nothing is lost', async () => {
    const receiver = await makeReceiver(() => {})
    const hook = await create('dies', receiver.url)
    const { pool } = api.deps.database
    // A turn of a process that is gone: nobody answers for it any more.
    await pool.query(
      `update webhooks set leased_by = 'dead', leased_until = now() + interval '1 second' where id = $1`,
      [hook.id],
    )
    receiver.behave.answer = ok
    await tell('x')
    await sleep(300)
    assert.equal(receiver.got.length, 0, 'its turn is respected')
    await until(() => receiver.got.length === 1, 'then taken over')
    await remove(hook)
    receiver.close()
  })

  test('events that retention took before they were told are told as missed', async () => {
    const receiver = await makeReceiver(ok)
    const hook = await create('behind', receiver.url, {
      kinds: ['state.rejected', 'webhook.missed'],
    })
    await api.call('POST', `/v1/webhooks/${hook.id}/pause`)
    await tell('1', '2', '3')
    await keepEvents(api.deps, new Date(), 1)
    await api.call('POST', `/v1/webhooks/${hook.id}/resume`)
    await until(() => api.deps.events.lastId > 0, 'events')
    const missed = async () => (await api.call('GET', '/v1/events?kind=webhook.missed')).body.items
    await until(async () => (await missed()).length === 1, 'missed is told')
    assert.match((await missed())[0].message, /^webhook behind was not told of up to \d+ events/)
    await remove(hook)
    receiver.close()
  })

  test('where it may go is checked when it is written, and who may see it by role', async () => {
    const refused: Record<string, RegExp> = {
      'http://example.org/x': /plain http goes to this machine only/,
      'http://10.0.0.1/x': /plain http goes to this machine only/,
      'ftp://example.org/': /must begin with https/,
      'https://user:pass@example.org/': /must not carry credentials/,
      'https://169.254.169.254/latest': /link-local/,
      'https://[::ffff:169.254.169.254]/': /link-local/,
      'https://[fe80::1]/': /link-local/,
      'https://[fd00:ec2::254]/': /metadata/,
      'https://0x7f.1/#x': /fragment/,
      'http://2852039166/': /link-local/,
      'no url': /is no URL/,
    }
    for (const [url, why] of Object.entries(refused)) {
      const answer = await api.call('POST', '/v1/webhooks', { name: 'x', url })
      assert.deepEqual([answer.status, answer.body.errors[0].pointer], [422, '/url'], url)
      assert.match(answer.body.errors[0].message, why, url)
    }
    const made = await api.call('POST', '/v1/api-keys', { name: 'reader', role: 'viewer' })
    const headers = { authorization: `Bearer ${made.body.key}` }
    assert.equal((await fetch(`${api.url}/v1/webhooks`, { headers })).status, 403)
    assert.equal((await fetch(`${api.url}/v1/events`, { headers })).status, 200)
  })

  test('the secret is told once, kept sealed, and every change is in the audit trail', async () => {
    const hook = await create('sealed', 'https://example.org/')
    assert.equal((await find('sealed')).secret, undefined)
    const rows = await api.deps.database.pool.query('select * from webhooks')
    const kept = JSON.stringify(rows.rows)
    assert.ok(!kept.includes(hook.secret) && !kept.includes(hook.secret.slice(6)))
    assert.equal(
      (await api.call('POST', '/v1/webhooks', { name: 'sealed', url: 'https://example.org/' }))
        .status,
      409,
    )
    await remove(hook)
    assert.equal((await api.call('DELETE', `/v1/webhooks/${hook.id}`)).status, 404)
    const { items } = (await api.call('GET', '/v1/audit-events?limit=1000')).body
    const actions = items
      .filter(({ subject }: JsonBody) => subject === 'webhook/sealed')
      .map(({ action }: JsonBody) => action)
    assert.deepEqual(actions, ['webhook.delete', 'webhook.create'])
    assert.ok(!JSON.stringify(items).includes('token=x'), 'no URL of a receiver')
  })
})

test(
  'kill -9 of the API in the middle of a delivery loses nothing',
  { timeout: 120_000 },
  async (t) => {
    const receiver = await makeReceiver(() => {})
    t.after(receiver.close)
    const dataDir = await mkdtemp(join(tmpdir(), 'lvsfleet-hook-'))
    await chmod(dataDir, 0o711)
    const doomed = await startApiProcess(dataDir)
    t.after(() => doomed.end('SIGKILL'))
    const made = await doomed.call('POST', '/v1/webhooks', {
      name: 'crash',
      url: receiver.url,
      kinds: ['intent.changed'],
    })
    const names = ['one', 'two', 'three']
    for (const name of names) {
      assert.equal((await doomed.call('PUT', `/v1/pools/${name}`, { labels: {} })).status, 201)
    }
    await until(() => receiver.got.length === 1, 'the first is under way')
    await doomed.end('SIGKILL')
    receiver.behave.answer = ok
    const api = await startApiProcess(dataDir)
    t.after(() => api.end('SIGKILL'))
    await until(() => receiver.got.length === 4, 'the rest, once its turn is over', 60_000)
    assert.deepEqual(subjects(receiver.got), ['pool/one', 'pool/one', 'pool/two', 'pool/three'])
    assert.ok(receiver.got.every((one) => verifies(made.body.secret, one)))
    assert.equal(await api.end('SIGTERM'), 0)
    await rm(dataDir, { recursive: true, force: true })
  },
)
