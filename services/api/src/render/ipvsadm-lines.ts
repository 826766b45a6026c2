/** Virtual services as ipvsadm(8) commands: what an operator would type to get the same table. */
import {
  assertNever,
  destinationKey,
  familyOf,
  serviceKey,
  type Forwarding,
  type ServiceState,
  type Tunnel,
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
    const { timeoutSeconds, prefixLength } = service.persistence
    options.push(`-p ${timeoutSeconds} -M ${netmask(service, prefixLength)}`)
  }
  const text = `${target} ${options.join(' ')}`
  return [
    `ipvsadm -A ${text} 2>/dev/null || ipvsadm -E ${text}`,
    ...service.destinations.map((destination) => {
      const how = `${target} -r ${destinationKey(destination)} ${methodOption(destination.forwarding)} -w ${destination.weight} -x ${destination.upperThreshold} -y ${destination.lowerThreshold}`
      return `ipvsadm -a ${how} 2>/dev/null || ipvsadm -e ${how}`
    }),
  ]
}

export function ipvsRemoveLines(service: ServiceState): string[] {
  return [`ipvsadm -D ${targetOf(service)} 2>/dev/null || true`]
}

function targetOf(service: ServiceState): string {
  const endpoint = serviceKey(service).slice(service.protocol.length + 1)
  return `${service.protocol === 'tcp' ? '-t' : '-u'} ${endpoint}`
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
function netmask(service: ServiceState, prefixLength: number): string {
  if (familyOf(service.address) === 'ipv6') return String(prefixLength)
  const mask = prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0
  return [24, 16, 8, 0].map((shift) => (mask >>> shift) & 0xff).join('.')
}
