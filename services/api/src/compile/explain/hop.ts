/** Hop: one place that a packet passes, and what leaves it: addresses, what is put around, and what may be in it. Plain data of explain. */
import type { Ip } from '@lvs-fleet/contract'

/** Bytes, and who says so. */
export type Limit = { readonly bytes: number; readonly because: string }

/** What a tunnel puts around a packet. */
export type Outer = {
  /** The route of the director picks one of these. */
  readonly sources: readonly Ip[]
  readonly destination: Ip
  /** `ipip`, `gre csum`, `gue 6080` */
  readonly tunnel: string
  /** Of the outer header: 4, 41, 47, or 17 for UDP. */
  readonly protocol: number
  /** Destination port in UDP; null for the other tunnels. */
  readonly port: number | null
  readonly bytes: number
}

export type Packet = {
  readonly source: string
  readonly destination: string
  readonly outer: Outer | null
  /** Largest IP packet that goes on from here (the inner one, in a tunnel); null where nobody described the network. */
  readonly mtu: Limit | null
  /** Largest TCP segment on its way from here; null for other protocols, and where it is the client's own affair. */
  readonly mss: Limit | null
}

export type Hop = {
  readonly role: 'client' | 'router' | 'director' | 'real-server'
  readonly at: string
  readonly does: string
  /** null = the packet has arrived. */
  readonly sends: Packet | null
}
