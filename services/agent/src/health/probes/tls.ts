/** The handshake of TLS, with a look at the certificate where asked. */
import type { ProbeOf, ProbeResult, ProbeTarget } from '../probe.ts'
import { withStream } from '../stream.ts'

export function probeTls({ tls }: ProbeOf<'tls'>, target: ProbeTarget): Promise<ProbeResult> {
  return withStream(target, { tls }, ({ secured, finish }) =>
    finish({ is: 'good', detail: secured?.getProtocol() ?? 'TLS' }),
  )
}
