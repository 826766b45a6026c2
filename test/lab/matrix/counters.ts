/**
 * The director's own account of a cell, from `ipvsadm -Ln --stats --exact`. Takes the listing; gives, by VIP, what
 * went to the real servers and what came back through the director. Pure.
 */
export type Counted = {
  readonly connections: number
  readonly packetsIn: number
  readonly packetsOut: number
}

export function readCounters(listing: string): Map<string, Counted> {
  const counted = new Map<string, Counted>()
  for (const line of listing.split('\n')) {
    const match = /^(?:TCP|UDP|SCTP) +\[?([0-9a-f.:]+?)\]?:\d+ +(\d+) +(\d+) +(\d+)/.exec(line)
    const [, vip, connections, packetsIn, packetsOut] = match ?? []
    if (vip === undefined) continue
    const sum = counted.get(vip) ?? { connections: 0, packetsIn: 0, packetsOut: 0 }
    counted.set(vip, {
      connections: sum.connections + Number(connections),
      packetsIn: sum.packetsIn + Number(packetsIn),
      packetsOut: sum.packetsOut + Number(packetsOut),
    })
  }
  return counted
}
