/** Every check, in the order in which a packet meets what it looks at. To add one: CONTRIBUTING.md. */
import type { Check } from './check.ts'
import { acceptLocal } from './checks/accept-local.ts'
import { vipOnDirector, vipOnLoopback, vipPreferred } from './checks/director-vips.ts'
import { duplicateVip } from './checks/duplicate-vip.ts'
import { foreignManager } from './checks/foreign.ts'
import { handshakes } from './checks/handshakes.ts'
import { clockSkew, stateDirectory } from './checks/host.ts'
import { kernelModules } from './checks/kernel-modules.ts'
import { limits } from './checks/limits.ts'
import { largeReceive } from './checks/large-receive.ts'
import { liveDestinations } from './checks/live-destinations.ts'
import { loops } from './checks/loops.ts'
import { mssClamps, pathMtu } from './checks/mtu.ts'
import { networkNamespace } from './checks/namespace.ts'
import { natForwarding, natRedirects, snatConntrack } from './checks/nat.ts'
import { persistenceDrain } from './checks/persistence.ts'
import { portDiffers } from './checks/ports.ts'
import { arpSysctls, vipOnOtherInterface, vipOnRealServer } from './checks/real-server-vips.ts'
import { drOnLink, routeToRealServer } from './checks/routes.ts'
import { rpFilter } from './checks/rp-filter.ts'
import { syncDaemon } from './checks/sync-daemon.ts'
import { otherSysctls } from './checks/sysctls.ts'
import { kernelTable } from './checks/table.ts'
import { decapsulationOpen, guePort, tunnelDevice } from './checks/tunnel-devices.ts'

export const ALL_CHECKS: readonly Check[] = [
  networkNamespace,
  kernelModules,
  vipOnDirector,
  vipOnLoopback,
  vipPreferred,
  duplicateVip,
  kernelTable,
  liveDestinations,
  portDiffers,
  routeToRealServer,
  drOnLink,
  natForwarding,
  natRedirects,
  snatConntrack,
  handshakes,
  pathMtu,
  largeReceive,
  acceptLocal,
  tunnelDevice,
  guePort,
  rpFilter,
  vipOnRealServer,
  vipOnOtherInterface,
  arpSysctls,
  mssClamps,
  decapsulationOpen,
  syncDaemon,
  persistenceDrain,
  loops,
  otherSysctls,
  foreignManager,
  limits,
  clockSkew,
  stateDirectory,
]
