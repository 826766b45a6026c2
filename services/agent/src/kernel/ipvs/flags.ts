/** Flags of a virtual service: our words and the kernel's bits, in both directions. */
import { SERVICE_FLAGS, type ServiceFlag } from '@lvs-fleet/contract'
import {
  IP_VS_SVC_F_HASHED,
  IP_VS_SVC_F_ONEPACKET,
  IP_VS_SVC_F_PERSISTENT,
  IP_VS_SVC_F_SCHED1,
  IP_VS_SVC_F_SCHED2,
} from './constants.ts'

export const FLAG_BITS: Readonly<Record<ServiceFlag, number>> = {
  fallback: IP_VS_SVC_F_SCHED1,
  'one-packet': IP_VS_SVC_F_ONEPACKET,
  port: IP_VS_SVC_F_SCHED2,
}

/** Bits that stand for something else than a flag: persistence has its own field. */
const OTHER_BITS = IP_VS_SVC_F_HASHED | IP_VS_SVC_F_PERSISTENT

/** Sorted flags, and whether the kernel holds bits that have no word. */
export function decodeFlags(bits: number): { flags: ServiceFlag[]; exact: boolean } {
  const flags = SERVICE_FLAGS.filter((flag) => (bits & FLAG_BITS[flag]) !== 0)
  const known = flags.reduce((sum, flag) => sum | FLAG_BITS[flag], OTHER_BITS)
  return { flags, exact: (bits & ~known) === 0 }
}
