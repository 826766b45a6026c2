/**
 * What this agent made, or took over, and so may change and remove; and what is on its way out.
 * Deadlines are on the clock that starts with the host (Clock.monotonicMs): a ledger is void after a
 * reboot anyway, because the kernel objects are gone, and a jumping wall clock must not end a drain.
 */
import type {
  AddressState,
  ClampState,
  DeviceState,
  GuePortState,
  MarkState,
  SyncDaemonState,
  TimeoutState,
  SourceNatState,
} from '@lvs-fleet/contract'

export type OwnedSysctl = {
  readonly key: string
  /** What it was before us; restored when we go, unless somebody set it since. */
  readonly previous: string
  readonly value: string
}

export type OwnedTimeout = {
  readonly name: TimeoutState['name']
  /** Seconds before us. */
  readonly previous: number
  readonly value: number
}

export type Ledger = {
  /** Boot and network namespace: objects made under another one are gone. */
  scope: string
  /** lingerSeconds of the state that was applied last. */
  lingerSeconds: number
  /** Owned virtual services by key, with the drainSeconds of the state that last wanted them. */
  readonly services: Map<string, number>
  /** Service key → destination key → deadline. */
  readonly drains: Map<string, ReadonlyMap<string, number>>
  /** Of drains that an operator asked for: service key → destination key → the wall clock's deadline (ms since 1970). */
  readonly askedDrains: Map<string, ReadonlyMap<string, number>>
  readonly devices: Map<string, DeviceState>
  readonly guePorts: Map<string, GuePortState>
  readonly addresses: Map<string, AddressState>
  readonly sysctls: Map<string, OwnedSysctl>
  readonly clamps: Map<string, ClampState>
  readonly marks: Map<string, MarkState>
  readonly timeouts: Map<string, OwnedTimeout>
  /** By role: a namespace has at most one of each. */
  readonly syncDaemons: Map<string, SyncDaemonState>
  readonly sourceNats: Map<string, SourceNatState>
  /** Object key of a network object that left the state → when it may go. */
  readonly lingers: Map<string, number>
}

export function emptyLedger(scope: string): Ledger {
  return {
    scope,
    lingerSeconds: 0,
    services: new Map(),
    drains: new Map(),
    askedDrains: new Map(),
    devices: new Map(),
    guePorts: new Map(),
    addresses: new Map(),
    sysctls: new Map(),
    clamps: new Map(),
    marks: new Map(),
    timeouts: new Map(),
    syncDaemons: new Map(),
    sourceNats: new Map(),
    lingers: new Map(),
  }
}

export function ledgerIsEmpty(ledger: Ledger): boolean {
  return (
    ledger.services.size === 0 &&
    ledger.devices.size === 0 &&
    ledger.guePorts.size === 0 &&
    ledger.addresses.size === 0 &&
    ledger.sysctls.size === 0 &&
    ledger.clamps.size === 0 &&
    ledger.marks.size === 0 &&
    ledger.timeouts.size === 0 &&
    ledger.syncDaemons.size === 0 &&
    ledger.sourceNats.size === 0
  )
}
