/**
 * Kernel: the one port between the agent's thinking and the machine. The real one speaks netlink, the
 * fake one in test/fakes behaves like it. Reads give normal forms with the same keys as HostState;
 * writes take ops and give one outcome each, in order. It decides nothing: no ownership, no retries.
 */
import type {
  ClampState,
  DestinationConfig,
  DestinationRef,
  Family,
  Ip,
  MarkState,
  Op,
  ServiceConfig,
  ServiceRef,
  SyncDaemonState,
  TimeoutState,
  SourceNatState,
} from '@lvs-fleet/contract'

/** `exact` is false where the kernel holds settings that the vocabulary cannot say (other flags, engines, tunnels). */
export type ObservedDestination = DestinationRef &
  DestinationConfig & {
    readonly exact: boolean
    readonly activeConnections: number
    readonly inactiveConnections: number
    readonly persistentConnections: number
    readonly stats: TrafficStats
  }

/** 64-bit counters since the object was made; never compared. */
export type TrafficStats = {
  readonly connections: bigint
  readonly inPackets: bigint
  readonly outPackets: bigint
  readonly inBytes: bigint
  readonly outBytes: bigint
}

/** A virtual service without its destinations. */
export type ObservedService = ServiceRef &
  ServiceConfig & { readonly exact: boolean; readonly stats: TrafficStats }

export type ObservedServices = {
  readonly services: readonly ObservedService[]
  /** Services that the vocabulary cannot name (other protocols): always foreign, counted only. */
  readonly unnamedCount: number
}

/** Idle seconds of connections in this network namespace. */
export type ObservedTimeouts = Readonly<Record<TimeoutState['name'], number>>

export type ObservedSyncDaemon = Omit<SyncDaemonState, 'place' | 'maxlen'> & {
  readonly device: string
  readonly maxlen: number
}

export type ObservedLink = {
  readonly index: number
  readonly name: string
  /** IFLA_INFO_KIND: dummy, ipip, sit, ip6tnl, gre, ip6gre, veth …; '' for plain hardware. */
  readonly kind: string
  readonly up: boolean
  readonly mtu: number
  /** Ends of a tunnel device; null where not a tunnel or unset (any). */
  readonly local: Ip | null
  readonly remote: Ip | null
  /** GRE only: takes packets with a checksum, and no others. False elsewhere. */
  readonly checksum: boolean
}

export type ObservedAddress = {
  readonly address: Ip
  readonly prefixLength: number
  readonly linkIndex: number
  /** IPv6: preferred lifetime 0, so that it is never picked as a source. Always false for IPv4. */
  readonly deprecated: boolean
}

export type ObservedNetwork = {
  readonly links: readonly ObservedLink[]
  readonly addresses: readonly ObservedAddress[]
}

/** A receive port of `ip fou`. */
export type ObservedGuePort = {
  /** Null where it takes packets to any address of its family. */
  readonly address: Ip | null
  readonly family: Family
  readonly port: number
  /** False where it is no GUE port as we make them: another encapsulation, or bound to a sender or an interface. */
  readonly exact: boolean
}

/** `code` is the errno name (EEXIST, ENOENT, ESRCH …) or ETIMEDOUT, ENOTSUP; `message` the kernel's text where it gave one. */
export type Outcome =
  | { readonly op: Op; readonly ok: true }
  | { readonly op: Op; readonly ok: false; readonly code: string; readonly message: string }

/** Thrown by reads that failed: lost infrastructure, not an answer. */
export class KernelError extends Error {
  override readonly name = 'KernelError'
  readonly operation: string
  readonly code: string

  constructor(operation: string, code: string, message: string) {
    super(`${operation}: ${code}: ${message}`)
    this.operation = operation
    this.code = code
  }
}

export type Kernel = {
  /** All virtual services, one dump. Retries interrupted dumps; throws KernelError rather than answer from one. */
  listServices(): Promise<ObservedServices>
  /** Destinations of each service, same order as asked. `undefined` where the service is not there. */
  listDestinations(
    services: readonly ServiceRef[],
  ): Promise<(readonly ObservedDestination[] | undefined)[]>
  observeNetwork(): Promise<ObservedNetwork>
  /** Value of each key, trimmed; undefined where the key does not exist. */
  readSysctls(keys: readonly string[]): Promise<ReadonlyMap<string, string | undefined>>
  /** Receive ports for encapsulation over UDP; empty where the kernel has no such module loaded. */
  observeGuePorts(): Promise<readonly ObservedGuePort[]>
  /** Clamps in the agent's own nftables tables; empty when there are none. */
  observeClamps(): Promise<readonly ClampState[]>
  /** Marks in the same tables. */
  observeMarks(): Promise<readonly MarkState[]>
  readTimeouts(): Promise<ObservedTimeouts>
  listSyncDaemons(): Promise<readonly ObservedSyncDaemon[]>
  /** Source NAT in the agent's own nftables tables; empty when there is none. */
  observeSourceNats(): Promise<readonly SourceNatState[]>
  /** Carries out ops in order, batched; goes on after a failure; one outcome per op, same order. */
  apply(ops: readonly Op[]): Promise<Outcome[]>
  /** Calls back (coalesced) when links or addresses change behind our back; returns the unsubscribe function. */
  onNetworkChange(listener: () => void): () => void
  /** Boot id and network namespace: kernel objects made under another scope are gone. */
  scope(): Promise<string>
  /** Kernel messages that change something, sent so far: zero when nothing changed. */
  writeCount(): number
  close(): void
}
