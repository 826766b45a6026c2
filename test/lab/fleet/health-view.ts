/**
 * Health as tests on real kernels look at it: a quick check, what a director says of its checks, and the weights that stand
 * in its kernel.
 */
import { healthReportSchema, type CheckHealth } from '@lvs-fleet/contract'
import * as z from 'zod'
import { findHost, twoSites } from '../topology.ts'
import { REAL_SERVERS, type FleetLab } from './fleet-lab.ts'

export type RealServer = (typeof REAL_SERVERS)[number]
/** By name of the real server. */
export type Weights = Readonly<Record<string, number>>

export const QUICK_CHECK = {
  kind: 'http',
  path: '/',
  intervalMs: 1_000,
  timeoutMs: 900,
  rise: 1,
  fall: 2,
  // Everything in the lab goes down more than once.
  damping: null,
}
/** From a fault to the verdict: fall x interval + twice the jitter + timeout. */
export const PROMISED_MS = 2 * 1_000 + 2 * 100 + 900
/** What an emulated processor with seven agents adds: to the second probe, the report, and to asking for it. */
export const DETECTED = { withinMs: PROMISED_MS + 6_000 }
export const SETTLED = { withinMs: 30_000 }

const hostSchema = z.object({ report: z.object({ health: healthReportSchema.nullable() }) })

export async function checksAt(fleet: FleetLab, director: string): Promise<readonly CheckHealth[]> {
  const answer = await fleet.controller.call('GET', `/v1/hosts/director/${director}`)
  return hostSchema.parse(answer).report.health?.checks ?? []
}

/** In the director's kernel, by VIP. */
export async function weightsAt(
  fleet: FleetLab,
  director: string,
): Promise<Readonly<Record<string, Weights>>> {
  const weights: Record<string, Record<string, number>> = {}
  for (const line of await fleet.lab.ipvsadm(director)) {
    const [, vip = '', end = '', weight] = /^-a -t (\S+):80 -r (\S+):80 .*-w (\d+)/.exec(line) ?? []
    const name = REAL_SERVERS.find((one) => addressesOf(one).includes(bare(end)))
    if (name !== undefined) weights[bare(vip)] = { ...weights[bare(vip)], [name]: Number(weight) }
  }
  return weights
}

/** Weight 100 for all, but for `others`. */
export function allBut(others: Weights = {}): Weights {
  return { ...Object.fromEntries(REAL_SERVERS.map((name) => [name, 100])), ...others }
}

export function addressesOf(name: RealServer): readonly [v4: string, v6: string] {
  const { v4, v6 } = findHost(twoSites, name)
  return [v4, v6]
}

function bare(address: string): string {
  return address.replace(/[[\]]/g, '')
}
