/**
 * Handshakes that do not complete: the director sends SYNs to a real server and never sees the client go on. It
 * cannot see why. By NAT the answers do not return through it; by DR and TUN either nothing arrives, or the answers,
 * whose source is the VIP, do not leave the real server's site (strict uRPF, BCP 38).
 */
import type { DestinationState, HostPart, ServiceState } from '@lvs-fleet/contract'
import type { Check, Found } from '../check.ts'
import type { Handshakes } from '../facts/facts.ts'

/** Fewer say nothing: clients give up now and then. */
const HALF_OPEN_MIN = 5

export const handshakes: Check = {
  id: 'handshakes',
  title: 'clients complete their handshakes with each real server',
  examine: ({ facts, state }) => {
    const rows = facts.handshakes
    if (rows === null) return []
    const found = new Map<string, Found>()
    for (const service of state.services) {
      const own = rows.filter((row) => belongs(row, service, state.host))
      for (const destination of service.destinations) {
        const { halfOpen, completed } = sumOf(own, destination)
        if (halfOpen < HALF_OPEN_MIN || halfOpen < completed) continue
        const { address, forwarding, realServer } = destination
        const key = `${realServer} ${address} by ${forwarding.method}`
        if (!found.has(key)) found.set(key, findingOf(destination, { halfOpen, completed }))
      }
    }
    return [...found.values()]
  },
}

function belongs({ vip, port }: Handshakes, service: ServiceState, host: HostPart): boolean {
  if (service.protocol === 'tcp') return service.address === vip && service.port === port
  return (
    service.protocol === 'fwmark' &&
    host.marks.some(
      ({ mark, address, ports }) =>
        mark === service.firewallMark && address === vip && ports.from <= port && port <= ports.to,
    )
  )
}

function sumOf(rows: readonly Handshakes[], { address }: DestinationState) {
  const sum = { halfOpen: 0, completed: 0 }
  for (const { server, halfOpen, completed } of rows) {
    if (server !== address) continue
    sum.halfOpen += halfOpen
    sum.completed += completed
  }
  return sum
}

function findingOf(
  { address, forwarding, realServer }: DestinationState,
  { halfOpen, completed }: { readonly halfOpen: number; readonly completed: number },
): Found {
  const isNat = forwarding.method === 'nat'
  return {
    severity: 'risk',
    object: `${realServer} ${address} by ${forwarding.method}`,
    found: `${halfOpen} connections wait for the client's answer, ${completed} had it`,
    wanted: 'most connections beyond their handshake',
    why: isNat
      ? 'SYNs go to the real server, and its answers do not come back through this director'
      : 'either SYNs do not reach the real server, or its answers, whose source is the VIP, do not leave its site',
    symptom: 'the share of clients that this real server would serve hangs',
    commands: [
      `# on ${realServer}: lvsfleet-agent doctor`,
      isNat
        ? `# its way back must lead here: on ${realServer}, ip route get CLIENT from ${address}`
        : '# healthy there: ask the network of its site for strict uRPF (BCP 38) and filters of tunnels',
      '# so for every real server: a SYN flood looks the same',
    ],
    fixable: false,
  }
}
