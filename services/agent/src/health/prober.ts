/** Prober: a check and a way → one probe of its kind, by the dialer of that way. What a kind needs is loaded with its first probe. */
import { assertNever, type CheckState, type CheckWay } from '@lvs-fleet/contract'
import { cannotRun } from './failure.ts'
import type { Dialer, Prober, ProbeResult, ProbeTarget } from './probe.ts'
import { probeDns } from './probes/dns.ts'
import { probeGrpc } from './probes/grpc.ts'
import { probeHttp } from './probes/http.ts'
import { probeIcmp, type OpenPing } from './probes/icmp.ts'
import { probeScript, type ScriptRules } from './probes/script.ts'
import { probeTcp } from './probes/tcp.ts'
import { probeTls } from './probes/tls.ts'
import { probeUdp } from './probes/udp.ts'

export type ProberDeps = {
  /** The dialer of a way, or why there is none. */
  readonly dialerOf: (way: CheckWay) => Dialer | string
  readonly openPing: OpenPing
  readonly scripts: ScriptRules
}

export function createProber(deps: ProberDeps): Prober {
  return async (check, as) => {
    const way: CheckWay = as === 'direct' ? { is: 'direct' } : check.way
    const dialer = deps.dialerOf(way)
    if (typeof dialer === 'string') return cannotRun(dialer)
    try {
      return await probe(check, targetOf(check, way, dialer), deps)
    } catch (error) {
      return cannotRun(error instanceof Error ? error.message : String(error))
    }
  }
}

function targetOf(check: CheckState, way: CheckWay, dialer: Dialer): ProbeTarget {
  const { realServer, timeoutMs } = check
  const endpoint =
    way.is === 'path'
      ? { address: way.vip, port: way.port }
      : { address: check.address, port: check.port }
  return { ...endpoint, realServer, timeoutMs, dialer }
}

function probe(
  check: CheckState,
  target: ProbeTarget,
  { openPing, scripts }: ProberDeps,
): Promise<ProbeResult> {
  const settings = check.probe
  switch (settings.kind) {
    case 'tcp':
      return probeTcp(target)
    case 'tls':
      return probeTls(settings, target)
    case 'http':
      return probeHttp(settings, target)
    case 'grpc':
      return probeGrpc(settings, target)
    case 'dns':
      return probeDns(settings, target)
    case 'udp':
      return probeUdp(settings, target)
    case 'icmp':
      return probeIcmp(target, openPing)
    case 'script':
      return probeScript(settings, target, scripts)
    default:
      return assertNever(settings)
  }
}
