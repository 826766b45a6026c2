/** Probes by datagrams, against real servers on the loopback that behave badly. */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { ip } from '@lvs-fleet/contract'
import fc from 'fast-check'
import { closedPort, tcpServer, udpServer } from '../../../../../test/fakes/bad-servers.ts'
import { plainDialer } from '../dialer.ts'
import type { ProbeOf, ProbeResult, ProbeTarget } from '../probe.ts'
import { decodeAnswer, encodeQuestion } from './dns-message.ts'
import { probeDns } from './dns.ts'
import { probeIcmp } from './icmp.ts'
import { probeUdp } from './udp.ts'

const SHORT_MS = 200

const to = (port: number, timeoutMs = 2_000): ProbeTarget => ({
  address: ip('127.0.0.1'),
  port,
  realServer: 'rs-1',
  timeoutMs,
  dialer: plainDialer,
})

function inWords(result: ProbeResult): string {
  if (result.is === 'good') return `good ${result.detail}`
  return result.is === 'bad' ? `${result.failure}: ${result.detail}` : result.detail
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')

// Probes keep no process alive.
const alive = setInterval(() => {}, 1_000)
after(() => clearInterval(alive))

describe('udp', () => {
  const ask = (fields: Partial<ProbeOf<'udp'>> = {}): ProbeOf<'udp'> => ({
    kind: 'udp',
    send: base64('ping'),
    expect: null,
    replyRequired: true,
    ...fields,
  })

  it('sends what it should, and takes any reply or the one that is expected', async (t) => {
    const port = await udpServer(t, (bytes, send) => send(Buffer.from(`got ${bytes.toString()}`)))
    assert.equal(inWords(await probeUdp(ask(), to(port))), 'good 8 bytes')
    const right = ask({ expect: base64('got ping') })
    assert.equal(inWords(await probeUdp(right, to(port))), 'good 8 bytes')
    const other = ask({ expect: base64('got pong') })
    assert.equal(inWords(await probeUdp(other, to(port))), 'wrong: a reply that begins otherwise')
  })

  it('tells silence from refusal', async (t) => {
    const silent = await udpServer(t, () => {})
    const closed = to(await closedPort(), SHORT_MS)
    assert.equal(
      inWords(await probeUdp(ask(), to(silent, SHORT_MS))),
      `silent: no reply within ${SHORT_MS} ms`,
    )
    assert.equal(inWords(await probeUdp(ask(), closed)), 'refused: connection refused')
    const patient = ask({ replyRequired: false })
    assert.equal(inWords(await probeUdp(patient, to(silent, SHORT_MS))), 'good no refusal')
    assert.equal(inWords(await probeUdp(patient, closed)), 'refused: connection refused')
  })
})

describe('dns', () => {
  const ask = (fields: Partial<ProbeOf<'dns'>> = {}): ProbeOf<'dns'> => ({
    kind: 'dns',
    name: 'Shop.example.',
    type: 'A',
    rcode: 'NOERROR',
    answer: null,
    ...fields,
  })

  /** Turns a question into an answer with these flags and records; names point at the question. */
  function answer(
    question: Buffer,
    { flags = 0x8180, records = [] as readonly (readonly [number, Buffer])[] } = {},
  ): Buffer {
    const head = Buffer.from(question)
    head.writeUInt16BE(flags, 2)
    head.writeUInt16BE(records.length, 6)
    const lines = records.map(([type, data]) => {
      const fixed = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, data.length])
      return Buffer.concat([fixed, data])
    })
    return Buffer.concat([head, ...lines])
  }
  const A = [1, Buffer.from([10, 1, 0, 100])] as const

  it('is good with the code and the record that are expected', async (t) => {
    const port = await udpServer(t, (question, send) => send(answer(question, { records: [A] })))
    assert.equal(inWords(await probeDns(ask(), to(port))), 'good NOERROR')
    const right = ask({ answer: '10.1.0.100' })
    assert.equal(inWords(await probeDns(right, to(port))), 'good NOERROR 10.1.0.100')
    const other = ask({ answer: '10.1.0.101' })
    assert.equal(
      inWords(await probeDns(other, to(port))),
      'wrong: NOERROR, but 10.1.0.100 where 10.1.0.101 is expected',
    )
  })

  it('NXDOMAIN is wrong, unless it is what is asked for', async (t) => {
    const port = await udpServer(t, (question, send) => send(answer(question, { flags: 0x8183 })))
    const want = 'wrong: NXDOMAIN where NOERROR is expected'
    assert.equal(inWords(await probeDns(ask(), to(port))), want)
    assert.equal(inWords(await probeDns(ask({ rcode: 'NXDOMAIN' }), to(port))), 'good NXDOMAIN')
  })

  it('reads every type of record', async (t) => {
    const name = Buffer.from('\u0004mail\u0000', 'latin1')
    const rows: readonly (readonly [ProbeOf<'dns'>['type'], number, Buffer, string])[] = [
      ['AAAA', 28, Buffer.from(`fd01${'00'.repeat(13)}64`, 'hex'), 'fd01::64'],
      ['CNAME', 5, name, 'MAIL.'],
      ['NS', 2, Buffer.from([0xc0, 12]), 'shop.example'],
      ['PTR', 12, name, 'mail'],
      ['MX', 15, Buffer.concat([Buffer.from([0, 10]), name]), '10 mail'],
      ['SRV', 33, Buffer.concat([Buffer.from([0, 1, 0, 2, 0, 80]), name]), '1 2 80 mail'],
      ['TXT', 16, Buffer.from('\u0002Ab\u0001c', 'latin1'), 'Abc'],
      ['SOA', 6, Buffer.concat([name, name, Buffer.alloc(20, 0)]), 'mail mail 0 0 0 0 0'],
    ]
    for (const [type, number, data, text] of rows) {
      const port = await udpServer(t, (question, send) =>
        send(answer(question, { records: [A, [number, data]] })),
      )
      const result = await probeDns(ask({ type, answer: text }), to(port))
      assert.equal(inWords(result), `good NOERROR ${text}`)
    }
  })

  it('waits for the answer to its own question: forged ids and other questions are passed over', async (t) => {
    const port = await udpServer(t, (question, send) => {
      const forged = answer(question, { flags: 0x8183 })
      forged.writeUInt16BE((question.readUInt16BE(0) + 1) & 0xffff, 0)
      send(forged)
      const other = answer(question, { flags: 0x8183 })
      other.write('x', 13)
      send(other)
      send(question)
      send(Buffer.from('?'))
      send(answer(question, { records: [A] }))
    })
    assert.equal(inWords(await probeDns(ask(), to(port))), 'good NOERROR')
    const forger = await udpServer(t, (question, send) => {
      const forged = answer(question)
      forged.writeUInt16BE((question.readUInt16BE(0) + 1) & 0xffff, 0)
      send(forged)
    })
    assert.equal(
      inWords(await probeDns(ask(), to(forger, SHORT_MS))),
      `silent: no answer within ${SHORT_MS} ms`,
    )
  })

  it('garbage in its own answer is wrong', async (t) => {
    const port = await udpServer(t, (question, send) => {
      const head = answer(question)
      head.writeUInt16BE(3, 6)
      send(Buffer.concat([head, Buffer.from([0xc0, 0xff, 0, 1])]))
    })
    assert.equal(inWords(await probeDns(ask(), to(port))), 'wrong: an answer that cannot be read')
  })

  it('asks again over TCP when the answer is cut', async (t) => {
    let tcpPort = 0
    const dialer = {
      ...plainDialer,
      dialTcp: (endpoint: Parameters<typeof plainDialer.dialTcp>[0]) =>
        plainDialer.dialTcp({ ...endpoint, port: tcpPort }),
    }
    const port = await udpServer(t, (question, send) => send(answer(question, { flags: 0x8380 })))
    tcpPort = await tcpServer(t, (socket) =>
      socket.once('data', (bytes: Buffer) => {
        const whole = answer(bytes.subarray(2), { records: [A] })
        const framed = Buffer.concat([Buffer.from([0, whole.length]), whole])
        socket.write(framed.subarray(0, 20))
        setImmediate(() => socket.write(framed.subarray(20)))
      }),
    )
    const probe = ask({ answer: '10.1.0.100' })
    assert.equal(inWords(await probeDns(probe, { ...to(port), dialer })), 'good NOERROR 10.1.0.100')
    tcpPort = await closedPort()
    assert.equal(
      inWords(await probeDns(probe, { ...to(port), dialer })),
      'refused: connection refused',
    )
  })

  it('whatever bytes come back, the decoder ends and never throws', () => {
    const question = { name: 'shop.example', type: 'A' } as const
    const asked = encodeQuestion(7, question)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, isAnswer) => {
        const tail = Buffer.from(bytes)
        const whole = isAnswer ? Buffer.concat([answer(asked), tail]) : tail
        if (isAnswer) whole.writeUInt16BE(50, 6)
        const result = decodeAnswer(7, question, whole)
        assert.ok(typeof result === 'string' ? ['stray', 'garbage'].includes(result) : true)
      }),
    )
  })
})

describe('icmp', () => {
  it('says how to allow it where the kernel does not, and blames no server', async () => {
    const result = await probeIcmp(to(0), async () => 'EACCES')
    assert.equal(
      inWords(result),
      'cannot run: net.ipv4.ping_group_range leaves out the group of the agent: sysctl -w net.ipv4.ping_group_range="0 2147483647"',
    )
  })

  it('a ping socket gives an echo, or the reason why not', async () => {
    const { openPingSocket } = await import('../../kernel/ping/ping-socket.ts')
    const result = await probeIcmp(to(0), async (family) => openPingSocket(family))
    assert.match(inWords(result), /^good echo$|^cannot run: net\.ipv4\.ping_group_range/)
  })
})
