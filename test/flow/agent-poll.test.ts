/** How the agent asks: again, later, for all of it, and never too often. Answers that never end are cut off. */
import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import { test, type TestContext } from 'node:test'
import type { Rejection } from '@lvs-fleet/contract'
import type { Offer } from '../../services/agent/src/agent.ts'
import type { Poll, PollAnswer } from '../../services/agent/src/control-plane/client.ts'
import { createHttpClient } from '../../services/agent/src/control-plane/http.ts'
import { WireError } from '../../services/agent/src/ports.ts'
import { createPoller } from '../../services/agent/src/control-plane/poll-loop.ts'
import { makeReport } from '../fakes/agent-client.ts'
import { createFakeClock } from '../fakes/fake-clock.ts'

const REJECTION: Rejection = { code: 'bad-digest', detail: 'x', epoch: 1, generation: 2 }
const refusedWith = (fields: Partial<Extract<PollAnswer, { is: 'refused' }>>): PollAnswer => ({
  is: 'refused',
  status: 503,
  code: undefined,
  detail: 'down',
  retryAfterMs: 0,
  ...fields,
})
const document: PollAnswer = {
  is: 'document',
  lines: (async function* () {})(),
  etag: '"1.2.x"',
  pollSeconds: 0,
}

/** `tookMs`: how long each poll is kept waiting. */
function bench(
  answers: readonly PollAnswer[],
  offers: readonly Offer[] = [],
  tookMs: readonly number[] = [],
  isDiskFull = false,
) {
  const polls: Poll[] = []
  const heard: Offer[] = []
  const answersLeft = [...answers]
  const offersLeft = [...offers]
  const contacts: number[] = []
  const followed: boolean[] = []
  const settled: boolean[] = []
  const clock = createFakeClock()
  let rejection: Rejection | null = null
  const poller = createPoller({
    clock,
    random: () => 1,
    log: () => undefined,
    controlPlane: {
      poll: async (poll) => {
        clock.advance(tookMs[polls.length] ?? 0)
        polls.push(poll)
        return answersLeft.shift() ?? { is: 'unchanged', pollSeconds: 0 }
      },
    },
    agent: {
      version: { epoch: 1, generation: 1, digest: 'd' },
      get rejection() {
        return rejection
      },
      offer: async () => offersLeft.shift() ?? { is: 'unchanged' },
      noteContact: () => {
        contacts.push(clock.monotonicMs())
      },
      reject: (given) => {
        rejection = given
        return { is: 'rejected', rejection: given }
      },
    },
    takeReport: async () => {
      if (isDiskFull) throw new Error('no space')
      return {
        report: makeReport(settled.length + 1),
        settle: (isDelivered) => settled.push(isDelivered),
      }
    },
    onOffer: (offer, isFollowed) => {
      heard.push(offer)
      followed.push(isFollowed)
    },
  })
  return { poller, polls, heard, clock, contacts, followed, settled }
}

test('backs off further with each failure, and starts anew after a success', async () => {
  const { poller } = bench([
    refusedWith({}),
    refusedWith({}),
    refusedWith({}),
    { is: 'unchanged', pollSeconds: 0 },
    refusedWith({}),
  ])
  const waits = []
  for (let i = 0; i < 5; i++) waits.push(await poller.once(50))
  assert.deepEqual(waits, [250, 500, 1_000, 250, 250])
})

test('after a failure it does not ask to be kept waiting: that the server is back is heard at once', async () => {
  const unchanged = { is: 'unchanged', pollSeconds: 0 } as const
  const { poller, polls } = bench([unchanged, refusedWith({}), refusedWith({}), unchanged])
  for (let i = 0; i < 5; i++) await poller.once(50)
  assert.deepEqual(
    polls.map(({ waitSeconds }) => waitSeconds),
    [50, 50, 0, 0, 50],
  )
})

test('comes back when the server says', async () => {
  const { poller } = bench([
    refusedWith({ retryAfterMs: 9_000 }),
    { is: 'unchanged', pollSeconds: 10 },
    { is: 'unchanged', pollSeconds: 0 },
    refusedWith({ status: 404, code: 'not-published' }),
  ])
  const waits = []
  for (let i = 0; i < 4; i++) waits.push(await poller.once(50))
  assert.equal(waits[0], 9_250)
  assert.ok(Math.abs((waits[1] ?? 0) - 11_000) < 1)
  assert.equal(waits[2], 250)
  assert.equal(waits[3], 4_500)
})

test('follows a poll that was kept waiting at once, and one that was not after a while', async () => {
  const { poller } = bench([document, document, document, document], [], [40_000, 100, 0, 250])
  const waits = []
  for (let i = 0; i < 4; i++) waits.push(await poller.once(50))
  assert.deepEqual(waits, [0, 150, 250, 0])
})

test('hears of the control plane by every answer that is one, and by no other', async () => {
  const { poller, contacts } = bench([
    { is: 'unchanged', pollSeconds: 0 },
    document,
    refusedWith({}),
  ])
  await poller.once(50)
  await poller.once(50)
  assert.equal(contacts.length, 2)
  await poller.once(50)
  assert.equal(contacts.length, 2)
})

test('says what it has, and the ETag of what it saw last', async () => {
  const { poller, polls } = bench(
    [document],
    [{ is: 'applied', round: { ops: 0, failed: 0, drift: 0 } }],
  )
  await poller.once(50)
  await poller.once(50)
  assert.deepEqual(
    polls.map(({ etag, have }) => [etag, have?.generation]),
    [
      [undefined, 1],
      ['"1.2.x"', 1],
    ],
  )
})

test('takes the report of a state along with the next poll, unless that is further off', async () => {
  const applied: Offer = { is: 'applied', round: { ops: 1, failed: 0, drift: 0 } }
  const rejected: Offer = { is: 'rejected', rejection: REJECTION }
  const later: PollAnswer = { ...document, pollSeconds: 1 }
  const { poller, polls, followed, settled } = bench(
    [document, document, refusedWith({}), later, document, document],
    [applied, applied, applied, rejected, { is: 'unchanged' }],
    [40_000, 10],
  )
  for (let i = 0; i < 7; i++) await poller.once(50)
  assert.deepEqual(
    polls.map(({ report }) => report?.seq),
    [undefined, 1, 2, undefined, undefined, undefined, undefined],
  )
  assert.deepEqual(settled, [true, false], 'a poll that was refused delivered nothing')
  assert.deepEqual(followed, [true, true, false, false, false])
})

test('polls without a report that cannot be numbered', async () => {
  const { poller, polls } = bench(
    [document],
    [{ is: 'applied', round: { ops: 1, failed: 0, drift: 0 } }],
    [],
    true,
  )
  for (let i = 0; i < 2; i++) assert.equal(await poller.once(50), 250)
  assert.deepEqual(
    polls.map(({ report, waitSeconds }) => [report, waitSeconds]),
    [
      [undefined, 50],
      [undefined, 50],
    ],
  )
})

test('asks once for the whole when shards are missing, then gives up until it changes', async () => {
  const incomplete: Offer = { is: 'incomplete', rejection: REJECTION }
  const healed = bench([document, document], [incomplete, { is: 'unchanged' }])
  await healed.poller.once(50)
  assert.deepEqual(
    healed.polls.map(({ have, etag }) => [have === null, etag]),
    [
      [false, undefined],
      [true, undefined],
    ],
  )
  assert.deepEqual(
    healed.heard.map((offer) => offer.is),
    ['unchanged'],
  )
  const stuck = bench([document, document], [incomplete, incomplete])
  await stuck.poller.once(50)
  assert.equal(stuck.polls.length, 2)
  assert.deepEqual(
    stuck.heard.map((offer) => offer.is),
    ['rejected'],
  )
})

test('looks at the whole once an hour', async () => {
  const { poller, polls, clock } = bench([])
  await poller.once(50)
  clock.advance(3_600_000)
  await poller.once(50)
  await poller.once(50)
  assert.deepEqual(
    polls.map(({ have }) => have === null),
    [false, true, false],
  )
})

async function serve(t: TestContext, answer: (response: ServerResponse) => void) {
  const server = createServer((_, response) => answer(response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(address !== null && typeof address !== 'string')
  const http = createHttpClient(new URL(`http://127.0.0.1:${address.port}/base/`))
  t.after(() => {
    http.close()
    server.closeAllConnections()
    server.close()
  })
  return http
}

async function countLines(lines: AsyncIterable<string>): Promise<number> {
  let count = 0
  for await (const line of lines) count += line === '' ? 0 : 1
  return count
}

/** Writes for ever, as fast as it is read. */
function flood(response: ServerResponse, chunk: Buffer): void {
  const write = (): void => {
    while (!response.destroyed && response.write(chunk)) continue
  }
  response.on('drain', write)
  write()
}

test('a line without an end is cut off, with bounded memory', async (t) => {
  const http = await serve(t, (response) => flood(response, Buffer.alloc(65_536, 120)))
  const answer = await http.request({ method: 'GET', path: '/v1', timeoutMs: 5_000 })
  const before = process.memoryUsage().rss
  await assert.rejects(countLines(answer.lines()), WireError)
  assert.ok(process.memoryUsage().rss - before < 100e6)
})

test('a body without an end is cut off', async (t) => {
  const http = await serve(t, (response) => flood(response, Buffer.from(`${'y'.repeat(65_535)}\n`)))
  const answer = await http.request({ method: 'GET', path: '/v1', timeoutMs: 5_000 })
  await assert.rejects(countLines(answer.lines()), /longer than 268435456 bytes/)
})

test('a reader that has seen enough ends the answer', async (t) => {
  let closed = false
  const http = await serve(t, (response) => {
    response.on('close', () => (closed = true))
    flood(response, Buffer.from(`${'y'.repeat(65_535)}\n`))
  })
  const answer = await http.request({ method: 'GET', path: '/v1', timeoutMs: 5_000 })
  for await (const line of answer.lines()) if (line !== '') break
  for (let i = 0; i < 200 && !closed; i++) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.ok(closed)
})

test('an answer that breaks off is an error, not a shorter answer', async (t) => {
  const http = await serve(t, (response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('one\ntwo\n')
    setTimeout(() => response.destroy(), 20)
  })
  const answer = await http.request({ method: 'GET', path: '/v1', timeoutMs: 5_000 })
  await assert.rejects(countLines(answer.lines()), WireError)
})

test('a server that says nothing is given up', async (t) => {
  const http = await serve(t, () => undefined)
  await assert.rejects(
    http.request({ method: 'GET', path: '/v1', timeoutMs: 50 }),
    /no answer within 50 ms/,
  )
})
