/**
 * The network half of the kernel port: links and addresses over NETLINK_ROUTE. Ops name interfaces by
 * name or by an address that they hold; messages need the index, so each run of ops of one kind is
 * resolved against a fresh dump and then sent in batches.
 */
import type { AddressState, DeviceState, Op } from '@lvs-fleet/contract'
import type { Applied } from '../applied.ts'
import { holdersOf } from '../holder.ts'
import type { ObservedLink, ObservedNetwork } from '../kernel.ts'
import type { NetlinkFailure } from '../netlink/message.ts'
import type { MessageWriter } from '../netlink/message-writer.ts'
import type { NetlinkSocket } from '../netlink/socket.ts'
import { addAddress, decodeAddress, dumpAddresses, removeAddress } from './addresses.ts'
import { createDevice, decodeLink, dumpLinks, endsFit, removeLink, updateDevice } from './links.ts'

export type NetworkOp = Extract<Op, { kind: `device.${string}` | `address.${string}` }>

/** What one op comes to: a message, or why there is none. */
type Resolved =
  | { readonly write: (writer: MessageWriter) => void }
  | { readonly failure: NetlinkFailure }

export class RtnlKernel {
  private readonly socket: NetlinkSocket

  constructor(socket: NetlinkSocket) {
    this.socket = socket
  }

  async observeNetwork(): Promise<ObservedNetwork> {
    const links = await this.socket.dump('list links', dumpLinks, decodeLink)
    const addresses = await this.socket.dump('list addresses', dumpAddresses, decodeAddress)
    return { links, addresses: addresses.filter((address) => address !== undefined) }
  }

  /** Ops of one kind, all resolved against the network as it is now; one entry per op. */
  async apply(ops: readonly NetworkOp[]): Promise<Applied> {
    const creates = ops.every((op) => op.kind === 'device.create')
    const network = creates ? { links: [], addresses: [] } : await this.observeNetwork()
    const resolved = resolveAll(ops, network)
    const writes = resolved.flatMap((entry) => ('write' in entry ? [entry.write] : []))
    const answers = await this.socket.batch('apply', writes.length, (writer, index) =>
      writes[index]?.(writer),
    )
    let next = 0
    const failures = resolved.map((entry) => ('write' in entry ? answers[next++] : entry.failure))
    return { failures, writeCount: writes.length }
  }
}

/** In order: an address may be placed beside one that was added a moment before. */
function resolveAll(ops: readonly NetworkOp[], network: ObservedNetwork): readonly Resolved[] {
  const indexByName = new Map(network.links.map(({ name, index }) => [name, index]))
  const indexByAddress = holdersOf(network.addresses)
  return ops.map((op) => {
    if (op.kind === 'device.create') return resolveCreation(op.device)
    if (op.kind === 'device.update') {
      return resolveStanding(op.device, network.links, (writer, index) =>
        updateDevice(writer, op.device, index),
      )
    }
    if (op.kind === 'device.remove') return resolveStanding(op.device, network.links, removeLink)
    const { address, place } = op.address
    const index =
      'device' in place ? indexByName.get(place.device) : indexByAddress.get(place.holding)
    if (index === undefined) return { failure: placeMissing(op.address) }
    if (op.kind === 'address.remove') return { write: (w) => removeAddress(w, address, index) }
    if (!indexByAddress.has(address)) indexByAddress.set(address, index)
    return { write: (writer) => addAddress(writer, address, index) }
  })
}

/** The kernel would take the first four bytes of an IPv6 end for an IPv4 one, without a word. */
function resolveCreation(device: DeviceState): Resolved {
  if (!endsFit(device)) {
    const message = `device ${device.name}: ${device.kind} cannot have ends of that family`
    return { failure: { code: 'EINVAL', message } }
  }
  return { write: (writer) => createDevice(writer, device) }
}

/** By index, so that a device that took the name a moment ago is safe. */
function resolveStanding(
  device: DeviceState,
  links: readonly ObservedLink[],
  write: (writer: MessageWriter, index: number) => void,
): Resolved {
  const link = links.find(({ name }) => name === device.name)
  if (link === undefined) {
    return { failure: { code: 'ENODEV', message: `there is no device ${device.name}` } }
  }
  if (link.kind !== device.kind) {
    const kind = link.kind === '' ? 'plain' : link.kind
    const message = `device ${device.name} is ${kind}, not ${device.kind}: left alone`
    return { failure: { code: 'EINVAL', message } }
  }
  return { write: (writer) => write(writer, link.index) }
}

function placeMissing({ address, place }: AddressState): NetlinkFailure {
  const message =
    'device' in place
      ? `there is no device ${place.device} for address ${address}`
      : `no interface holds ${place.holding}, so ${address} has no place`
  return { code: 'ENODEV', message }
}
