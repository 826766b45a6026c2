/**
 * Classify: how a probe failed, and what a second one to the real server's own address said → what is broken. Pure.
 *
 * | by the way of clients | direct                   | broken                                                        |
 * |-----------------------|--------------------------|---------------------------------------------------------------|
 * | a wrong answer        | not asked                | the server: the way carried its answer                        |
 * | refused or silent     | good                     | the path                                                      |
 * | silent                | refused                  | the path: over a whole one the refusal would have come back   |
 * | refused or silent     | anything else bad        | the server                                                    |
 * | refused or silent     | could not run            | not known                                                     |
 *
 * A check that goes direct has no second opinion: silence may be the server or the network, and other directors may know.
 */
import type { CheckWay, HealthClass } from '@lvs-fleet/contract'
import type { Failure, ProbeResult } from './probe.ts'

/** True where only a second, direct probe tells server from path. */
export function needsSecondProbe(way: CheckWay, failure: Failure): boolean {
  return way.is === 'path' && failure !== 'wrong'
}

export function classify(failure: Failure, direct: ProbeResult | undefined): HealthClass {
  if (direct === undefined) return failure === 'silent' ? 'unreachable' : 'server-down'
  if (direct.is === 'cannot-run') return 'unreachable'
  if (direct.is === 'good') return 'path-down'
  return failure === 'silent' && direct.failure === 'refused' ? 'path-down' : 'server-down'
}
