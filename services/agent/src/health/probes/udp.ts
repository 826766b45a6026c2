/** One datagram and its reply; or silence, where that is good too. */
import { bad } from '../failure.ts'
import { withDatagrams } from '../datagram.ts'
import type { ProbeOf, ProbeResult, ProbeTarget } from '../probe.ts'

export function probeUdp(probe: ProbeOf<'udp'>, target: ProbeTarget): Promise<ProbeResult> {
  const expected = probe.expect === null ? null : Buffer.from(probe.expect, 'base64')
  return withDatagrams(target, {
    send: Buffer.from(probe.send, 'base64'),
    onMessage: (bytes) =>
      expected === null || bytes.subarray(0, expected.length).equals(expected)
        ? { is: 'good', detail: `${bytes.length} bytes` }
        : bad('wrong', 'a reply that begins otherwise'),
    onSilence: () =>
      probe.replyRequired
        ? bad('silent', `no reply within ${target.timeoutMs} ms`)
        : { is: 'good', detail: 'no refusal' },
  })
}
