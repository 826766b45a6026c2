/**
 * Probe: one question to one real server, bounded in time and bytes. What it may answer, and the ways by which it
 * reaches the network, which are arguments: plain sockets, or marked ones that IPVS forwards as it forwards clients.
 */
import type { CheckProbe, CheckState, Ip } from '@lvs-fleet/contract'
import type { Socket } from 'node:net'

/** `refused`: somebody said no; `silent`: nobody said anything, or not enough; `wrong`: an answer, but not a good one. */
export type Failure = 'refused' | 'silent' | 'wrong'

export type ProbeResult =
  | { readonly is: 'good'; readonly latencyMs: number; readonly detail: string }
  | { readonly is: 'bad'; readonly failure: Failure; readonly detail: string }
  /** The director itself could not ask: says nothing about the real server. */
  | { readonly is: 'cannot-run'; readonly detail: string }

export type Endpoint = { readonly address: Ip; readonly port: number }

/** A connected datagram socket. */
export type Datagrams = {
  send(bytes: Uint8Array): void
  onMessage(listener: (bytes: Uint8Array) => void): void
  /** ICMP errors come here: ECONNREFUSED, EHOSTUNREACH, EMSGSIZE. */
  onError(listener: (error: Error) => void): void
  close(): void
}

export type Dialer = {
  /** A connected socket; rejects with the errno of connect, or ETIMEDOUT after `timeoutMs`. */
  dialTcp(to: Endpoint & { readonly timeoutMs: number }): Promise<Socket>
  dialUdp(to: Endpoint): Promise<Datagrams>
}

/** What a probe is given besides its settings. */
export type ProbeTarget = Endpoint & {
  readonly realServer: string
  readonly timeoutMs: number
  readonly dialer: Dialer
}

/** Settings of one kind of check. */
export type ProbeOf<K extends CheckProbe['kind']> = Extract<CheckProbe, { kind: K }>

/** Carries out one probe of a check; never rejects. */
export type Prober = (check: CheckState, way: 'as-checked' | 'direct') => Promise<ProbeResult>
