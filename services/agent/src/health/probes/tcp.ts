/** The handshake of TCP, and nothing said. */
import type { ProbeResult, ProbeTarget } from '../probe.ts'
import { withStream } from '../stream.ts'

export function probeTcp(target: ProbeTarget): Promise<ProbeResult> {
  return withStream(target, { tls: null }, ({ finish }) =>
    finish({ is: 'good', detail: 'connected' }),
  )
}
