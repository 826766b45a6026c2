/**
 * The cells that cannot work: what the compiler says when an operator asks for them, and what the kernel answers
 * when it is asked all the same, past the compiler.
 */
import {
  destinationConfig,
  ip,
  serviceConfig,
  type DestinationState,
  type EndpointService,
  type Op,
} from '@lvs-fleet/contract'
import { bundleKernelGuest, KernelGuest } from '../kernel/kernel-guest.ts'
import type { Lab } from '../lab.ts'
import { service, destination } from '../../fakes/states.ts'
import type { Cell } from './cells.ts'
import { asksOf, methodOf, refusalOf } from './fleet.ts'
import type { CellRow } from './result.ts'
import { DIRECTOR } from './topology.ts'

/** What the kernel's rule family-mix says it answers. */
const WANTED = 'EINVAL'

export async function refuseCells(lab: Lab, cells: readonly Cell[]): Promise<CellRow[]> {
  await bundleKernelGuest()
  const answers = await new KernelGuest(lab, DIRECTOR).codes(
    cells.flatMap((cell) => opsOf(lab, cell)),
  )
  return cells.map((cell, i) => {
    const [made, added] = answers.slice(i * 3, i * 3 + 3)
    const [ask] = asksOf([cell])
    const reason = ask && refusalOf(ask, methodOf(cell.form))
    const faults: string[] = []
    if (reason === undefined) faults.push('the compiler takes it')
    if (made !== 'ok') faults.push(`the kernel refuses the virtual service alone: ${made}`)
    if (added !== WANTED) faults.push(`the kernel answers ${added} instead of ${WANTED}`)
    return { cell, text: `refused: ${reason}; the kernel answers ${added}`, faults }
  })
}

/** A virtual service, its impossible destination, and away with it. */
function opsOf(lab: Lab, cell: Cell): Op[] {
  const [listener] = cell.listeners
  if (listener === undefined) throw new Error(`${cell.name} has no listener`)
  const own: EndpointService = service(cell.vip, [], { ...listener, protocol: cell.protocol })
  const to: DestinationState = destination(addressOf(lab, cell), {
    port: listener.port,
    forwarding: forwardingOf(cell),
  })
  return [
    { kind: 'service.create', service: own, to: serviceConfig(own) },
    { kind: 'destination.create', service: own, destination: to, to: destinationConfig(to) },
    { kind: 'service.remove', service: own },
  ]
}

function addressOf({ topology }: Lab, { form, server, serverFamily }: Cell): string {
  const host = topology.hosts.find(({ name }) => name === (form === 'local' ? DIRECTOR : server))
  if (host === undefined) throw new Error(`the lab has no host ${server}`)
  return ip(host[serverFamily])
}

function forwardingOf({ form, name }: Cell): DestinationState['forwarding'] {
  const method = methodOf(form)
  if (method === 'tun') throw new Error(`${name} is not refused: TUN changes the family`)
  return { method }
}
