/** One table as each program reads it: a host state for the agent, lines for ipvsadm, a file for keepalived. */
import type { EndpointService } from '../contract/src/host-state.ts'
import { largeState } from '../test/fakes/states.ts'
import { WIDTH, type Size } from './size.ts'

export function stateText(size: Size, weight: number): string {
  return JSON.stringify(tableOf(size, weight))
}

/** For `ipvsadm -R`. */
export function ipvsadmText(size: Size, weight: number): string {
  return tableOf(size, weight)
    .services.flatMap((service) => [
      `-A -t ${service.address}:${service.port} -s ${service.scheduler}`,
      ...service.destinations.map(
        ({ address, port }) =>
          `-a -t ${service.address}:${service.port} -r ${address}:${port} -g -w ${weight}`,
      ),
    ])
    .map((line) => `${line}\n`)
    .join('')
}

/** For `keepalived -C`: no checkers, so that nothing but programming is measured. */
export function keepalivedText(size: Size, weight: number): string {
  return `global_defs {\n}\n${tableOf(size, weight).services.map(virtualServer).join('')}`
}

function tableOf(size: Size, weight: number) {
  return largeState(size, WIDTH, weight)
}

function virtualServer(service: EndpointService): string {
  const servers = service.destinations.map(
    ({ address, port, weight }) =>
      `  real_server ${address} ${port} {\n    weight ${weight}\n  }\n`,
  )
  return `virtual_server ${service.address} ${service.port} {\n  lvs_sched ${service.scheduler}\n  lvs_method DR\n  protocol TCP\n${servers.join('')}}\n`
}
