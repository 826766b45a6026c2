/** Problem: one thing wrong with the intent, with the path of the field and what to do about it. */
import { FLEET_KEYS, type Kind } from './kinds.ts'

/** Closed list: clients branch on these. */
export type ProblemCode =
  | 'unknown-name'
  | 'duplicate'
  | 'vip-overlap'
  | 'vip-is-host-address'
  | 'vip-duplicate'
  | 'flag-conflict'
  | 'tunnel-conflict'
  | 'threshold-order'
  | 'no-forwarding'
  | 'kernel-refuses'
  | 'network-overlap'
  | 'vip-not-routed'
  | 'ports'
  | 'port-overlap'
  | 'mark-reserved'
  | 'mark-collision'
  | 'engine-protocol'
  | 'sync-pair'
  | 'sync-id'
  | 'sync-mixed-family'
  | 'scheduler-cache'
  | 'scheduler-thresholds'
  | 'scheduler-weights'
  | 'udp-mtu'
  | 'check-port'
  | 'level-without-policy'
  | 'override-weight'
  | 'override-count'
  | 'override-expiry'
  | 'override-kind'
  | 'quorum-without-check'
  | 'drain-target'
  | 'drain-deadline'
  | 'drain-empties'
  | 'scheduler-levels'

export type Problem = {
  readonly kind: Kind
  readonly name: string
  /** Path within the object, e.g. ['vips', 0]. */
  readonly path: readonly (string | number)[]
  /** RFC 6901 pointer into the fleet document: `/virtualServices/web/vips/0`. */
  readonly pointer: string
  readonly code: ProblemCode
  readonly message: string
}

export function problem(
  at: { readonly kind: Kind; readonly name: string; readonly path?: readonly (string | number)[] },
  code: ProblemCode,
  message: string,
): Problem {
  const path = at.path ?? []
  return {
    kind: at.kind,
    name: at.name,
    path,
    pointer: jsonPointer([FLEET_KEYS[at.kind], at.name, ...path]),
    code,
    message,
  }
}

export function jsonPointer(path: readonly (string | number)[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
