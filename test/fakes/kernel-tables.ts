/** What the fake kernel holds, and the interfaces in it: what stands, by the keys of the host state. Plain data that ops change. */
import type {
  AddressPlace,
  ClampState,
  DestinationConfig,
  DestinationRef,
  Ip,
  MarkState,
  ServiceConfig,
  ServiceRef,
  SourceNatState,
} from '@lvs-fleet/contract'
import type {
  ObservedAddress,
  ObservedGuePort,
  ObservedLink,
  ObservedSyncDaemon,
  ObservedTimeouts,
} from '../../services/agent/src/kernel/kernel.ts'

export type FakeDestination = DestinationRef & {
  config: DestinationConfig
  exact: boolean
  active: number
  inactive: number
  /** Templates of persistent clients. */
  persistent: number
}
export type FakeService = ServiceRef & {
  config: ServiceConfig
  exact: boolean
  destinations: Map<string, FakeDestination>
}

/** What the kernel says to an op that it refuses. */
export type Failure = { readonly code: string; readonly message: string }

export type KernelTables = {
  readonly services: Map<string, FakeService>
  readonly links: Map<string, ObservedLink>
  readonly addresses: ObservedAddress[]
  readonly sysctls: Map<string, string>
  /** By `address:port`, `*:port` where open for every address. */
  readonly guePorts: Map<string, ObservedGuePort>
  readonly clamps: Map<string, ClampState>
  readonly marks: Map<string, MarkState>
  timeouts: ObservedTimeouts
  readonly syncDaemons: Map<string, ObservedSyncDaemon>
  readonly sourceNats: Map<string, SourceNatState>
  /** Of the interface that is made next. */
  nextLinkIndex: number
}

const TIMEOUTS: ObservedTimeouts = { tcp: 900, tcpFin: 120, udp: 300 }

/** A host with eth0 and nothing else. */
export function createTables(): KernelTables {
  const tables: KernelTables = {
    services: new Map(),
    links: new Map(),
    addresses: [],
    sysctls: new Map(),
    guePorts: new Map(),
    clamps: new Map(),
    marks: new Map(),
    timeouts: TIMEOUTS,
    syncDaemons: new Map(),
    sourceNats: new Map(),
    nextLinkIndex: 2,
  }
  addLink(tables, 'eth0', '')
  return tables
}

/** A reboot leaves eth0, without addresses, and the sysctls, which a file sets at boot. */
export function clearTables(tables: KernelTables): void {
  tables.services.clear()
  tables.clamps.clear()
  tables.guePorts.clear()
  tables.marks.clear()
  tables.syncDaemons.clear()
  tables.timeouts = TIMEOUTS
  tables.sourceNats.clear()
  for (const name of tables.links.keys()) if (name !== 'eth0') tables.links.delete(name)
  tables.addresses.length = 0
}

export function addLink(
  tables: KernelTables,
  name: string,
  kind: string,
  local: Ip | null = null,
  remote: Ip | null = null,
  checksum = false,
): void {
  const index = tables.nextLinkIndex++
  tables.links.set(name, { index, name, kind, up: true, mtu: 1500, local, remote, checksum })
}

export function linkIndexOf(
  { links, addresses }: KernelTables,
  place: AddressPlace,
): number | undefined {
  if ('device' in place) return links.get(place.device)?.index
  return addresses.find((address) => address.address === place.holding)?.linkIndex
}
