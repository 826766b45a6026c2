/** The fake kernel as an operator would read it with ipvsadm -Sn and ip: one line an object. */
import {
  compareIps,
  compareServices,
  describeForwarding,
  destinationKey,
  serviceKey,
  type ServiceRef,
} from '@lvs-fleet/contract'
import type { KernelTables } from './kernel-tables.ts'

export function describeKernel(tables: KernelTables): string {
  const { services, links, addresses, sysctls, guePorts, clamps, marks, syncDaemons, sourceNats } =
    tables
  const lines: string[] = []
  for (const service of [...services.values()].toSorted(compareServices)) {
    const { scheduler, flags, persistence } = service.config
    const name = nameOf(service)
    const flagText = flags.length === 0 ? '' : ` -b ${flags.join(',')}`
    const persistent =
      persistence === null
        ? ''
        : ` -p ${persistence.timeoutSeconds}/${persistence.prefixLength}${persistence.engine === null ? '' : ` --pe ${persistence.engine}`}`
    lines.push(`-A ${name} -s ${scheduler}${flagText}${persistent}`)
    for (const destination of [...service.destinations.values()].toSorted(
      (a, b) => compareIps(a.address, b.address) || a.port - b.port,
    )) {
      const { forwarding, weight, upperThreshold, lowerThreshold } = destination.config
      const limits =
        upperThreshold + lowerThreshold === 0 ? '' : ` -x ${upperThreshold} -y ${lowerThreshold}`
      lines.push(
        `-a ${name} -r ${destinationKey(destination)} ${describeForwarding(forwarding)} -w ${weight}${limits}`,
      )
    }
  }
  for (const link of links.values())
    if (link.name !== 'eth0')
      lines.push(
        `device ${link.name} ${link.kind}${link.checksum ? ' csum' : ''}${link.up ? '' : ' down'}`,
      )
  for (const key of guePorts.keys()) lines.push(`gue port ${key}`)
  for (const address of addresses) {
    const name = [...links.values()].find((link) => link.index === address.linkIndex)?.name ?? '?'
    lines.push(`address ${address.address}/${address.prefixLength} ${name}`)
  }
  for (const [key, value] of sysctls) lines.push(`sysctl ${key}=${value}`)
  for (const clamp of clamps.values()) lines.push(`clamp ${clamp.address} ${clamp.mss}`)
  for (const [key, { mark }] of marks) lines.push(`mark ${key} ${mark}`)
  for (const { role, device, syncId } of syncDaemons.values())
    lines.push(`sync ${role} ${device} ${syncId}`)
  for (const key of sourceNats.keys()) lines.push(`source nat ${key}`)
  return lines.map((line) => `${line}\n`).join('')
}

function nameOf(service: ServiceRef): string {
  if ('firewallMark' in service) {
    return `-f ${service.firewallMark}${service.family === 'ipv6' ? ' -6' : ''}`
  }
  const { protocol } = service
  const option = protocol === 'sctp' ? '--sctp-service' : `-${protocol.charAt(0)}`
  return `${option} ${serviceKey(service).slice(protocol.length + 1)}`
}
