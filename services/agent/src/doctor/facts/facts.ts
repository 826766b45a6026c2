/**
 * Facts: everything that the checks may look at, as plain data. `null` always means "could not be seen",
 * never "is not there"; a check that would need it says nothing.
 */
import type { Capabilities, ClampState, Ip, PathReport } from '@lvs-fleet/contract'
import type { RouteAnswer } from '../../kernel/inspect/inspector.ts'
import type { Neighbour } from '../../kernel/inspect/neighbours.ts'
import type {
  ObservedDestination,
  ObservedGuePort,
  ObservedNetwork,
  ObservedService,
  ObservedSyncDaemon,
} from '../../kernel/kernel.ts'

export type SysctlOrigin = { readonly file: string; readonly value: string }

export type ManagerProcess = { readonly name: string; readonly pid: number }

/** What the nftables rules of all programs contain, as far as it concerns IPVS. */
export type RulesetFacts = {
  /** Tables with source NAT for packets of IPVS: `ip nat`. */
  readonly snatForIpvs: readonly string[]
}

/** TCP connections in the kernel's table, to one port of a VIP by one real server. */
export type Handshakes = {
  readonly vip: Ip
  readonly port: number
  readonly server: Ip
  /** The client's answer to the SYN-ACK was not seen. */
  readonly halfOpen: number
  readonly completed: number
}

export type StateDirectory = {
  /** The error of a trial write; null when it worked. */
  readonly error: string | null
  readonly freeBytes: number | null
}

export type Facts = {
  readonly capabilities: Capabilities | null
  /** Names of network namespaces (`net:[4026531840]`): our own, and the one that the host booted with. */
  readonly namespace: { readonly own: string; readonly first: string } | null
  readonly sysctls: ReadonlyMap<string, string>
  /** Which file below sysctl.d sets a key at boot. */
  readonly sysctlOrigins: ReadonlyMap<string, SysctlOrigin>
  readonly network: ObservedNetwork
  readonly guePorts: readonly ObservedGuePort[] | null
  readonly clamps: readonly ClampState[] | null
  readonly syncDaemons: readonly ObservedSyncDaemon[] | null
  /** null where IPVS could not be asked. */
  readonly services: readonly ObservedService[] | null
  readonly ipvsError: string | null
  /** By service key; null where they were not read. */
  readonly destinations: ReadonlyMap<string, readonly ObservedDestination[]> | null
  /** Of a part of the table where it is large; null where it was not read. */
  readonly handshakes: readonly Handshakes[] | null
  readonly routes: ReadonlyMap<Ip, RouteAnswer>
  /** What the running agent measured of its paths. */
  readonly paths: PathReport | null
  readonly neighbours: readonly Neighbour[]
  /** VIPs that another host answers ARP for, with what was seen; null where nobody was asked. */
  readonly duplicates: ReadonlyMap<Ip, string> | null
  /** Names as ethtool has them, by index of the interface; null where the kernel could not be asked. */
  readonly offloads: ReadonlyMap<number, ReadonlySet<string>> | null
  readonly managers: readonly ManagerProcess[]
  readonly ruleset: RulesetFacts | null
  /** `TcpExtIPReversePathFilter` and the like, since boot. */
  readonly counters: ReadonlyMap<string, number>
  readonly stateDirectory: StateDirectory
  /** Seconds that this host is ahead of the controller; null where it was not asked. */
  readonly clockSkewSeconds: number | null
}
