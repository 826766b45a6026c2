/** Sends what `nextStep` asks for, one datagram after the other, and gives its verdict. */
import type { PathState } from '@lvs-fleet/contract'
import type { PathSockets } from '../kernel/path/path-sockets.ts'
import type { Clock } from '../ports.ts'
import { nextStep, type Trial, type Verdict } from './next-step.ts'

/** Longer than any way round the earth. */
const TIMEOUT_MS = 1_000
/** A Linux real server sends one ICMP error a second to one host, after a burst of six (icmp_ratelimit, ip-sysctl.rst). */
const SPACING_MS = 1_100

export type MeasureDeps = { readonly sockets: PathSockets; readonly clock: Clock }

/** `unknown` when `signal` aborts. Throws KernelError where the kernel refuses the socket. */
export async function measurePath(
  { sockets, clock }: MeasureDeps,
  { mark, source, vip, closedPort, mtu }: PathState,
  signal: AbortSignal,
): Promise<Verdict> {
  const to = { mark, source, address: vip, port: closedPort }
  const trials: Trial[] = []
  while (!signal.aborted) {
    const step = nextStep(mtu, trials)
    if (step.is === 'done') return step.verdict
    // Where the answer came from the way itself, or none came in time, the real server has spent nothing.
    if (trials.at(-1)?.fate === 'arrived') await clock.sleep(SPACING_MS, signal)
    const fate = await sockets.sendDatagram(to, step.bytes, TIMEOUT_MS)
    trials.push({ bytes: step.bytes, fate })
  }
  return { is: 'unknown' }
}
