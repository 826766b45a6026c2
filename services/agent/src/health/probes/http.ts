/** One request over HTTP/1.1, over TLS where asked; good are its status and what its body says. */
import { bad, cannotRun } from '../failure.ts'
import type { ProbeOf, ProbeResult, ProbeTarget } from '../probe.ts'
import { withStream, type Outcome } from '../stream.ts'
import { matchesInTime } from './body-match.ts'
import { HttpReader, type HttpAnswer, type Reading } from './http-reader.ts'

type HttpProbe = ProbeOf<'http'>

export function probeHttp(probe: HttpProbe, target: ProbeTarget): Promise<ProbeResult> {
  const { tls, method } = probe
  return withStream(target, { tls, protocols: ['http/1.1'] }, ({ socket, finish }) => {
    const reader = new HttpReader(method === 'GET')
    const note = (reading: Reading): void => {
      if (reading === 'more') return
      finish(
        'problem' in reading ? bad('wrong', reading.problem) : judgeAnswer(probe, reading.answer),
      )
    }
    socket.on('data', (bytes: Buffer) => note(reader.push(bytes)))
    socket.on('end', () => {
      // Closed before a byte: like a refusal, it may come from something in between.
      if (socket.bytesRead > 0) note(reader.end())
    })
    socket.write(requestOf(probe, target))
  })
}

/** The answer is whole, or as long as we look. */
function judgeAnswer(probe: HttpProbe, { status, reason, body }: HttpAnswer): Outcome {
  const line = `${status} ${reason}`.trim()
  if (!probe.statuses.some(({ from, to }) => status >= from && status <= to)) {
    return bad('wrong', `status ${line}`)
  }
  if (probe.bodyContains !== null && !body.includes(probe.bodyContains)) {
    return bad('wrong', `${line}, but the body lacks ${JSON.stringify(probe.bodyContains)}`)
  }
  if (probe.bodyMatches !== null) {
    const matches = matchesInTime(probe.bodyMatches, body.toString('utf8'))
    if (typeof matches === 'string') return cannotRun(matches)
    if (!matches) return bad('wrong', `${line}, but the body does not match ${probe.bodyMatches}`)
  }
  return { is: 'good', detail: line }
}

function requestOf({ method, path, host }: HttpProbe, { address, port }: ProbeTarget): string {
  const own = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
  return [
    `${method} ${path} HTTP/1.1`,
    `host: ${host ?? own}`,
    'user-agent: lvsfleet-agent',
    'accept: */*',
    'connection: close',
    '\r\n',
  ].join('\r\n')
}
