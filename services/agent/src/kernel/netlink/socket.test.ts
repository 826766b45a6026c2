import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR } from './constants.ts'
import { eachMessage, type NetlinkMessage } from './message.ts'
import type { MessageWriter } from './message-writer.ts'
import type { DatagramHandlers } from './raw-socket.ts'
import { NetlinkSocket } from './socket.ts'

const DATA = 100

/** A kernel that follows a script: what it says to each message that is sent to it. */
function scripted(
  answer: (message: NetlinkMessage, say: Say, attempt: number) => void,
  options: { readonly sendError?: string } = {},
) {
  const kernel = { opened: 0, closed: 0, sent: 0, attempts: 0 }
  const open = (handlers: DatagramHandlers) => {
    kernel.opened++
    return {
      port: 10 + kernel.opened,
      close: () => void kernel.closed++,
      send: (bytes: Uint8Array, done: (code: string | undefined) => void) => {
        kernel.sent++
        setImmediate(() => done(options.sendError))
        if (options.sendError !== undefined) return
        const say: Say = (...parts) => handlers.message(Buffer.concat(parts))
        say.broken = (why) => handlers.broken(why)
        setImmediate(() => {
          eachMessage(Buffer.from(bytes), (message) => answer(message, say, ++kernel.attempts))
        })
      },
    }
  }
  const socket = new NetlinkSocket({ protocol: 0, timeoutMs: 500, open })
  return { kernel, socket }
}
type Say = { (...messages: Buffer[]): void; broken?(why: string): void }

function reply(type: number, sequence: number, payload: Buffer, flags = 0): Buffer {
  const bytes = Buffer.alloc(16 + payload.length)
  bytes.writeUInt32LE(bytes.length, 0)
  bytes.writeUInt16LE(type, 4)
  bytes.writeUInt16LE(flags, 6)
  bytes.writeUInt32LE(sequence, 8)
  payload.copy(bytes, 16)
  return bytes
}
function number(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32LE(value)
  return bytes
}
const data = (sequence: number, value: number, flags = 2) =>
  reply(DATA, sequence, number(value), flags)
const done = (sequence: number, errno = 0, flags = 2) =>
  reply(NLMSG_DONE, sequence, number(errno), flags)
const error = (sequence: number, errno: number) =>
  reply(NLMSG_ERROR, sequence, Buffer.concat([number(errno), Buffer.alloc(16)]), 0x100)

const write = (writer: MessageWriter) => {
  writer.begin(DATA, NLM_F_REQUEST)
  writer.end()
}
const value = ({ bytes, start, end }: NetlinkMessage) => bytes.subarray(start, end).readInt32LE()

test('a request gathers its data until the ack', async () => {
  const { socket } = scripted(({ sequence }, say) => {
    say(data(sequence, 1))
    say(error(sequence, 0))
  })
  const answer = await socket.request('get', write, value)
  assert.deepEqual(answer, { items: [1], failure: undefined, interrupted: false })
})

test('a refusal is an answer', async () => {
  const { socket } = scripted(({ sequence }, say) => say(error(sequence, -3)))
  const { failure } = await socket.request('get', write, value)
  assert.equal(failure?.code, 'ESRCH')
})

test('answers find their request whatever order they come in; strangers are dropped', async () => {
  const held: (() => void)[] = []
  const { socket } = scripted(({ sequence }, say) => {
    held.push(() => say(data(999, 7), data(sequence, sequence), error(sequence, 0)))
    if (held.length === 2) for (const tell of held.toReversed()) tell()
  })
  const answers = await Promise.all([
    socket.request('a', write, value),
    socket.request('b', write, value),
  ])
  assert.deepEqual(
    answers.map(({ items }) => items),
    [[1], [2]],
  )
})

test('a silent kernel is a timeout, and the next request gets a new socket', async () => {
  const { socket, kernel } = scripted(({ sequence }, say, attempt) => {
    if (attempt > 1) say(error(sequence, 0))
  })
  const { failure } = await socket.request('get', write, value)
  assert.deepEqual(failure, {
    code: 'ETIMEDOUT',
    message: 'no answer from the kernel within 500 ms',
  })
  assert.deepEqual(await socket.request('get', write, value), {
    items: [],
    failure: undefined,
    interrupted: false,
  })
  assert.deepEqual([kernel.opened, kernel.closed], [2, 1])
})

test('a dump counts only when its DONE came', async () => {
  const { socket, kernel } = scripted(({ sequence }, say) => say(data(sequence, 1)))
  await assert.rejects(socket.dump('list', write, value), { code: 'ETIMEDOUT', operation: 'list' })
  assert.equal(kernel.closed, 1, 'the kernel would refuse another dump on that socket')
})

test('a dump may last as long as its parts keep coming', async () => {
  const { socket } = scripted(({ sequence }, say) => {
    say(data(sequence, 1))
    setTimeout(() => say(data(sequence, 2)), 35)
    setTimeout(() => say(data(sequence, 3), done(sequence)), 70)
  })
  assert.deepEqual(await socket.dump('list', write, value), [1, 2, 3])
})

test('an interrupted dump is asked for again, from nothing', async () => {
  for (const where of ['data', 'done']) {
    const { socket } = scripted(({ sequence }, say, attempt) => {
      const flags = attempt < 5 ? 0x12 : 2
      say(
        data(sequence, attempt, where === 'data' ? flags : 2),
        done(sequence, 0, where === 'done' ? flags : 2),
      )
    })
    assert.deepEqual(await socket.dump('list', write, value), [5])
  }
})

test('a dump that is interrupted every time is an error', async () => {
  const { socket, kernel } = scripted(({ sequence }, say) => say(done(sequence, 0, 0x12)))
  await assert.rejects(socket.dump('list', write, value), { code: 'EINTR' })
  assert.equal(kernel.sent, 5)
})

test('a dump that failed at its start or on its way is an error', async () => {
  const refused = scripted(({ sequence }, say) => say(error(sequence, -1)))
  await assert.rejects(refused.socket.dump('list', write, value), /needs CAP_NET_ADMIN/)
  const cut = scripted(({ sequence }, say) => say(data(sequence, 1), done(sequence, -12)))
  await assert.rejects(cut.socket.dump('list', write, value), { code: 'ENOMEM' })
})

test('dumps take turns, and a failed one lets the next go on', async () => {
  let running = 0
  const { socket } = scripted(({ sequence }, say, attempt) => {
    assert.equal(++running, 1)
    setImmediate(() => {
      running--
      say(attempt === 1 ? done(sequence, -12) : done(sequence))
    })
  })
  const all = await Promise.allSettled([1, 2, 3].map(() => socket.dump('list', write, value)))
  assert.deepEqual(
    all.map(({ status }) => status),
    ['rejected', 'fulfilled', 'fulfilled'],
  )
})

test('an answer that cannot be decoded fails its request and nothing else', async () => {
  const { socket } = scripted(({ sequence }, say, attempt) => {
    say(attempt === 1 ? reply(DATA, sequence, Buffer.alloc(0)) : data(sequence, 1), done(sequence))
  })
  await assert.rejects(socket.dump('list', write, value), { code: 'EBADMSG' })
  assert.deepEqual(await socket.dump('list', write, value), [1])
})

test('a batch puts each refusal where it belongs, over several datagrams', async () => {
  const { socket, kernel } = scripted(({ sequence, flags }, say) => {
    if (sequence % 100 === 0) say(error(sequence, -17))
    else if (flags & 4) say(error(sequence, 0))
  })
  const failures = await socket.batch('apply', 1500, (writer) => {
    writer.begin(DATA, NLM_F_REQUEST)
    writer.raw(Buffer.alloc(124))
    writer.end()
  })
  assert.equal(failures.length, 1500)
  const refused = failures.flatMap((failure, index) => (failure === undefined ? [] : [index]))
  assert.deepEqual(
    refused,
    Array.from({ length: 15 }, (_, i) => i * 100 + 99),
  )
  assert.equal(kernel.sent, 4)
})

test('what is in doubt in a batch has failed, what was answered before keeps its answer', async () => {
  const { socket } = scripted(({ sequence }, say) => {
    if (sequence === 2) say(error(sequence, -17))
  })
  const failures = await socket.batch('apply', 4, write)
  assert.deepEqual(
    failures.map((failure) => failure?.code),
    [undefined, 'EEXIST', 'ETIMEDOUT', 'ETIMEDOUT'],
  )
})

test('a message that was not sent says why', async () => {
  const { socket } = scripted(() => undefined, { sendError: 'EMSGSIZE' })
  assert.deepEqual((await socket.request('get', write, value)).failure, {
    code: 'EMSGSIZE',
    message: 'get was not sent',
  })
  assert.deepEqual(
    (await socket.batch('apply', 2, write)).map((failure) => failure?.code),
    ['EMSGSIZE', 'EMSGSIZE'],
  )
})

test('a broken socket ends what waits on it', async () => {
  const { socket, kernel } = scripted((_, say) => say.broken?.('poll failed'))
  const { failure } = await socket.request('get', write, value)
  assert.deepEqual(failure, { code: 'EIO', message: 'poll failed' })
  assert.equal(kernel.closed, 1)
})

test('a closed socket sends nothing', async () => {
  const { socket, kernel } = scripted(() => undefined)
  const waiting = socket.request('get', write, value)
  socket.close()
  assert.equal((await waiting).failure?.code, 'ECANCELED')
  assert.equal((await socket.request('get', write, value)).failure?.code, 'EBADF')
  assert.equal(kernel.sent, 1)
})
