/** Virtual services as ipvsadm(8) commands: what an operator would type to get the same table. */
import {
  assertNever,
  destinationKey,
  serviceFamily,
  serviceKey,
  type DestinationState,
  type Family,
  type Forwarding,
  type ServiceRef,
  type ServiceState,
  type Tunnel,
  type SyncDaemonState,
  type TimeoutState,
} from '@lvs-fleet/contract'

/** Adds the service and its destinations, or edits them where they stand. */
export function ipvsAddLines(service: ServiceState): string[] {
  const target = targetOf(service)
  const options = [`-s ${service.scheduler}`]
  if (service.flags.includes('one-packet')) options.push('-o')
  const flags = service.flags.filter((flag) => flag !== 'one-packet')
  if (flags.length > 0) {
    options.push(`-b ${flags.map((flag) => `${service.scheduler}-${flag}`).join(',')}`)
  }
  if (service.persistence !== null) {
    const { timeoutSeconds, prefixLength, engine } = service.persistence
    options.push(`-p ${timeoutSeconds} -M ${netmask(serviceFamily(service), prefixLength)}`)
    if (engine !== null) options.push(`--pe ${engine}`)
  }
  const text = `${target} ${options.join(' ')}`
  return [
    `ipvsadm -A ${text} 2>/dev/null || ipvsadm -E ${text}`,
    ...service.destinations.map((destination) => {
      const how = `${target} -r ${destinationKey(destination)} ${methodOption(destination.forwarding)} -w ${weightWithoutAgent(destination, service)} -x ${destination.upperThreshold} -y ${destination.lowerThreshold}`
      return `ipvsadm -a ${how} 2>/dev/null || ipvsadm -e ${how}`
    }),
  ]
}

/** Nobody moves shares on such a host, so the first level that has a weight has it all. */
function weightWithoutAgent(
  { weight, placement }: DestinationState,
  service: ServiceState,
): number {
  if (placement === undefined) return weight
  const levels = service.destinations.flatMap((one) =>
    one.weight > 0 && typeof one.placement?.level === 'number' ? [one.placement.level] : [],
  )
  const first = levels.length === 0 ? 'sorry' : Math.min(...levels)
  return placement.level === first ? weight : 0
}

export function ipvsRemoveLines(service: ServiceState): string[] {
  return [`ipvsadm -D ${targetOf(service)} 2>/dev/null || true`]
}

/** 0 leaves a timeout as it is (ipvsadm(8), --set). */
export function timeoutLines(timeouts: readonly TimeoutState[]): string[] {
  if (timeouts.length === 0) return []
  const of = (name: TimeoutState['name']): number =>
    timeouts.find((timeout) => timeout.name === name)?.seconds ?? 0
  return [`ipvsadm --set ${of('tcp')} ${of('tcpFin')} ${of('udp')}`]
}

/** Nothing of a daemon can be edited: it is stopped first. */
export function syncStartLines(daemon: SyncDaemonState, device: string): string[] {
  const { role, syncId, group, port, ttl, maxlen } = daemon
  const size = maxlen === null ? '' : ` --sync-maxlen ${maxlen}`
  return [
    ...syncStopLines(daemon),
    `ipvsadm --start-daemon ${role} --syncid ${syncId} --mcast-interface ${device} --mcast-group ${group} --mcast-port ${port} --mcast-ttl ${ttl}${size}`,
  ]
}

export function syncStopLines({ role }: SyncDaemonState): string[] {
  return [`ipvsadm --stop-daemon ${role} 2>/dev/null || true`]
}

const PROTOCOL_OPTIONS = { tcp: '-t', udp: '-u', sctp: '--sctp-service' } as const

function targetOf(service: ServiceRef): string {
  if ('firewallMark' in service) {
    return `-f ${service.firewallMark}${service.family === 'ipv6' ? ' -6' : ''}`
  }
  const endpoint = serviceKey(service).slice(service.protocol.length + 1)
  return `${PROTOCOL_OPTIONS[service.protocol]} ${endpoint}`
}

function methodOption(forwarding: Forwarding): string {
  switch (forwarding.method) {
    case 'nat':
      return '-m'
    case 'tun':
      return `-i${tunnelOptions(forwarding.tunnel)}`
    case 'dr':
    case 'local':
      return '-g'
    default:
      return assertNever(forwarding)
  }
}

/** IPIP is what ipvsadm takes by itself, and all that its older versions know. */
function tunnelOptions(tunnel: Tunnel): string {
  switch (tunnel.type) {
    case 'ipip':
      return ''
    case 'gre':
      return ` --tun-type gre ${tunnel.checksum ? '--tun-csum' : '--tun-nocsum'}`
    case 'gue': {
      const checksum = { none: '--tun-nocsum', csum: '--tun-csum', remcsum: '--tun-remcsum' }
      return ` --tun-type gue --tun-port ${tunnel.port} ${checksum[tunnel.checksum]}`
    }
    default:
      return assertNever(tunnel)
  }
}

/** ipvsadm takes a dotted mask for IPv4 and a prefix length for IPv6. */
function netmask(family: Family, prefixLength: number): string {
  if (family === 'ipv6') return String(prefixLength)
  const mask = prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0
  return [24, 16, 8, 0].map((shift) => (mask >>> shift) & 0xff).join('.')
}
