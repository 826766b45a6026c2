/** One trial's answer as a verdict: only the errors that a feature's absence gives are a no. */
import type { Verdict } from '@lvs-fleet/contract'
import type { NetlinkFailure } from '../netlink/message.ts'

export function verdictOf(
  failure: Pick<NetlinkFailure, 'code'> | undefined,
  absent: readonly string[],
): Verdict {
  if (failure === undefined) return 'yes'
  return absent.includes(failure.code) ? 'no' : 'unknown'
}
