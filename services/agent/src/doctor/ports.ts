/** What the doctor takes from outside beyond the agent's own ports. main.ts gives the real ones. */
import type { Capabilities } from '@lvs-fleet/contract'
import type { Inspector } from '../kernel/inspect/inspector.ts'
import type { HostReader } from './facts/host-reader.ts'

export type DoctorPorts = {
  readonly reader: HostReader
  readonly openInspector: () => Promise<Inspector>
  /** Tries in a scratch namespace what the kernel can. */
  readonly probe: (signal: AbortSignal) => Promise<Capabilities>
}
