/** One question over UDP, over TCP too when the answer does not fit; good are the code and the record asked for. */
import { randomInt } from 'node:crypto'
import { withDatagrams } from '../datagram.ts'
import { bad } from '../failure.ts'
import type { ProbeOf, ProbeResult, ProbeTarget } from '../probe.ts'
import { withStream, type Outcome } from '../stream.ts'
import { canonicalName, decodeAnswer, encodeQuestion, type DnsAnswer } from './dns-message.ts'

type DnsProbe = ProbeOf<'dns'>

export async function probeDns(probe: DnsProbe, target: ProbeTarget): Promise<ProbeResult> {
  const startedMs = performance.now()
  let isTruncated = false
  const id = randomInt(0x10000)
  const result = await withDatagrams(target, {
    send: encodeQuestion(id, probe),
    onMessage: (bytes) => {
      const answer = decodeAnswer(id, probe, bytes)
      if (answer === 'stray') return undefined
      if (answer === 'garbage') return bad('wrong', 'an answer that cannot be read')
      isTruncated = answer.truncated
      return judgeAnswer(probe, answer)
    },
    onSilence: () => bad('silent', `no answer within ${target.timeoutMs} ms`),
  })
  if (!isTruncated) return result
  const leftMs = target.timeoutMs - (performance.now() - startedMs)
  return leftMs < 1 ? result : overTcp(probe, { ...target, timeoutMs: Math.round(leftMs) })
}

/** The same with two bytes of length before each message; RFC 1035 section 4.2.2. */
function overTcp(probe: DnsProbe, target: ProbeTarget): Promise<ProbeResult> {
  const id = randomInt(0x10000)
  return withStream(target, { tls: null }, ({ socket, finish }) => {
    let held = Buffer.alloc(0)
    socket.on('data', (bytes: Buffer) => {
      held = Buffer.concat([held, bytes])
      if (held.length < 2) return
      const length = held.readUInt16BE(0)
      if (held.length < 2 + length) return
      const answer = decodeAnswer(id, probe, held.subarray(2, 2 + length))
      finish(
        typeof answer === 'string'
          ? bad('wrong', 'an answer over TCP that cannot be read')
          : judgeAnswer(probe, answer),
      )
    })
    const question = encodeQuestion(id, probe)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(question.length)
    socket.write(Buffer.concat([length, question]))
  })
}

function judgeAnswer(probe: DnsProbe, { rcode, data }: DnsAnswer): Outcome {
  if (rcode !== probe.rcode) return bad('wrong', `${rcode} where ${probe.rcode} is expected`)
  if (probe.answer === null) return { is: 'good', detail: rcode }
  const wanted = comparable(probe, probe.answer)
  if (data.some((one) => comparable(probe, one) === wanted)) {
    return { is: 'good', detail: `${rcode} ${probe.answer}` }
  }
  const found = data.length === 0 ? `no ${probe.type} record` : data.join(', ')
  return bad('wrong', `${rcode}, but ${found} where ${probe.answer} is expected`)
}

/** Texts keep their case; in all else there are only names, numbers and addresses. */
function comparable(probe: DnsProbe, text: string): string {
  return probe.type === 'TXT' ? text : canonicalName(text)
}
