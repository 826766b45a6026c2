/**
 * Which virtual services a change of marks concerns: those that packets go to afterwards must be able to answer
 * before, and those that packets went to must not stop before. Pure.
 */
import type { MarkState, Op, ServiceRef } from '@lvs-fleet/contract'

/** Packets of these marks go to it once they changed. */
export function gainsPackets(service: ServiceRef, marks: readonly Op[]): boolean {
  return 'firewallMark' in service
    ? marks.some((op) => op.kind === 'mark.set' && op.mark.mark === service.firewallMark)
    : marks.some((op) => op.kind === 'mark.remove' && covers(op.mark, service))
}

/** Packets of these marks went to it until they changed. */
export function losesPackets(service: ServiceRef, marks: readonly Op[]): boolean {
  return 'firewallMark' in service
    ? marks.some(
        (op) =>
          (op.kind === 'mark.remove' && op.mark.mark === service.firewallMark) ||
          (op.kind === 'mark.set' && op.from === service.firewallMark),
      )
    : marks.some((op) => op.kind === 'mark.set' && covers(op.mark, service))
}

function covers(
  mark: MarkState,
  service: Exclude<ServiceRef, { readonly firewallMark: number }>,
): boolean {
  const { protocol, address, ports } = mark
  return (
    protocol === service.protocol &&
    address === service.address &&
    ports.from <= service.port &&
    service.port <= ports.to
  )
}
