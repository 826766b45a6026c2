/** What a subsystem of the kernel folder answers after it carried out its share of the ops. */
import type { NetlinkFailure } from './netlink/message.ts'

/** What a subsystem did: one place per op, and how many messages, files or programs it wrote. */
export type Applied = {
  readonly failures: readonly (NetlinkFailure | undefined)[]
  readonly writeCount: number
}
