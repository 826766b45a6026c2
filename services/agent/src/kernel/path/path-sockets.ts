/**
 * PathSockets: the port through which a director talks to a VIP by one chosen path, that is through the same tunnel
 * or route to the same real server by which IPVS would send a client. The mark picks the destination, an address of
 * the director itself is the source. The real one needs CAP_NET_ADMIN and no raw socket; the fake one is in test/fakes.
 */
import type { Socket as DatagramSocket } from 'node:dgram'
import type { Socket } from 'node:net'
import type { Ip } from '@lvs-fleet/contract'

export type Dial = {
  /** Of the path's firewall-mark service: which destination the packets go to. 0 = none: any user may have that. */
  readonly mark: number
  /** The director's own address, never a VIP: the kernel would pick the VIP itself, and no answer would come back. */
  readonly source: Ip
  /** The VIP, of the source's family. */
  readonly address: Ip
  readonly port: number
}

/**
 * What became of one datagram that may not be fragmented.
 * arrived: somebody said that nothing listens there (ICMP port unreachable).
 * too-big: this host, or a router on the way, said that it does not fit.
 * silent: no word in time, or one that says nothing about its size.
 */
export type DatagramFate = 'arrived' | 'too-big' | 'silent'

export type PathSockets = {
  /**
   * A TCP connection through the path. Connects by itself: wait for `connect` or `error`, and destroy it in the end.
   * Throws KernelError where the kernel refuses the socket.
   */
  connect(to: Dial): Socket
  /** A UDP socket through the path, bound and not connected yet: connect it, and close it in the end. Throws as `connect`. */
  datagrams(to: Pick<Dial, 'mark' | 'source'>): DatagramSocket
  /** Sends one UDP datagram whose whole IP packet has `packetBytes`; never longer than `timeoutMs`. Throws as `connect`. */
  sendDatagram(to: Dial, packetBytes: number, timeoutMs: number): Promise<DatagramFate>
}
