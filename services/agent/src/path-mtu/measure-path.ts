/** Sends what `nextStep` asks for, one datagram after the other, and gives its verdict. */
import type { PathState } from '@lvs-fleet/contract'
import type { Dial, PathSockets } from '../kernel/path/path-sockets.ts'
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
  path: PathState,
  signal: AbortSignal,
): Promise<Verdict> {
  const { mtu } = path
  const trials: Trial[] = []
  while (!signal.aborted) {
    const step = nextStep(mtu, trials)
    if (step.is === 'done') return step.verdict
    // Where the answer came from the way itself, or none came in time, the real server has spent nothing.
    if (trials.at(-1)?.fate === 'arrived') await clock.sleep(SPACING_MS, signal)
    const fate = await sockets.sendDatagram(endOf(path), step.bytes, TIMEOUT_MS)
    trials.push({ bytes: step.bytes, fate })
  }
  return { is: 'unknown' }
}

/** One datagram: true says that the path is well, false says nothing. Throws as `measurePath` does. */
export async function carriesComputedSize(
  { sockets }: Pick<MeasureDeps, 'sockets'>,
  path: PathState,
): Promise<boolean> {
  return (await sockets.sendDatagram(endOf(path), path.mtu, TIMEOUT_MS)) === 'arrived'
}

function endOf({ mark, source, vip, closedPort }: PathState): Dial {
  return { mark, source, address: vip, port: closedPort }
}
