/**
 * The IPVS half of the kernel port: services, destinations and batched ops over generic netlink.
 * IPVS never announces changes and never marks a dump as interrupted (ip_vs_genl_dump_services has no
 * generation count): an entry that somebody else adds or removes during a dump may hide another one
 * for that round. The kernel answers a wrong guess with EEXIST, so no more than a round is lost.
 */
import type { ServiceRef } from '@lvs-fleet/contract'
import type { Applied } from '../applied.ts'
import {
  KernelError,
  type ObservedDestination,
  type ObservedService,
  type ObservedServices,
  type ObservedSyncDaemon,
  type ObservedTimeouts,
} from '../kernel.ts'
import { resolveFamily } from '../netlink/generic.ts'
import type { NetlinkFailure } from '../netlink/message.ts'
import type { NetlinkSocket } from '../netlink/socket.ts'
import { IPVS_GENL_NAME } from './constants.ts'
import { decodeDestination, decodeService } from './decode.ts'
import { IpvsEncoder, type IpvsOp } from './encode.ts'
import {
  decodeDaemon,
  decodeTimeouts,
  writeDumpDaemons,
  writeGetTimeouts,
  writeSetting,
  type SettingsOp,
} from './settings.ts'

/** KernelError and outcomes carry it where the kernel has no IPVS at all. */
export const IPVS_MISSING: NetlinkFailure = {
  code: 'EPROTONOSUPPORT',
  message: 'ip_vs is not loaded: modprobe ip_vs',
}

export class IpvsKernel {
  private readonly socket: NetlinkSocket
  private encoder: IpvsEncoder | undefined

  constructor(socket: NetlinkSocket) {
    this.socket = socket
  }

  listServices(): Promise<ObservedServices> {
    return this.withEncoder('list services', async (encoder) => {
      const decoded = await this.socket.dump(
        'list services',
        (writer) => encoder.dumpServices(writer),
        decodeService,
      )
      const services = decoded.filter(
        (service): service is ObservedService => service !== undefined,
      )
      return { services, unnamedCount: decoded.length - services.length }
    })
  }

  listDestinations(
    services: readonly ServiceRef[],
  ): Promise<(readonly ObservedDestination[] | undefined)[]> {
    if (services.length === 0) return Promise.resolve([])
    return this.withEncoder('list destinations', async (encoder) => {
      const lists: (readonly ObservedDestination[] | undefined)[] = []
      for (const service of services) lists.push(await this.destinationsOf(encoder, service))
      return lists
    })
  }

  async apply(ops: readonly IpvsOp[]): Promise<Applied> {
    const encoder = await this.findEncoder('apply')
    if (!(encoder instanceof IpvsEncoder)) {
      return { failures: ops.map(() => encoder), writeCount: 0 }
    }
    const failures = await this.socket.batch('apply', ops.length, (writer, index) => {
      const op = ops[index]
      if (op !== undefined) encoder.op(writer, op)
    })
    return { failures, writeCount: ops.length }
  }

  readTimeouts(): Promise<ObservedTimeouts> {
    return this.withEncoder('read timeouts', async ({ family }) => {
      const { items, failure } = await this.socket.request(
        'read timeouts',
        (writer) => writeGetTimeouts(writer, family),
        decodeTimeouts,
      )
      if (failure !== undefined)
        throw new KernelError('read timeouts', failure.code, failure.message)
      const [timeouts] = items
      if (timeouts !== undefined) return timeouts
      throw new KernelError('read timeouts', 'EBADMSG', 'the kernel said nothing')
    })
  }

  listSyncDaemons(): Promise<readonly ObservedSyncDaemon[]> {
    return this.withEncoder('list sync daemons', ({ family }) =>
      this.socket.dump(
        'list sync daemons',
        (writer) => writeDumpDaemons(writer, family),
        decodeDaemon,
      ),
    )
  }

  /** `devices`: the interface of each op that starts a daemon, undefined where there is none. */
  async applySettings(
    ops: readonly SettingsOp[],
    devices: readonly (string | undefined)[],
  ): Promise<Applied> {
    const encoder = await this.findEncoder('apply')
    if (!(encoder instanceof IpvsEncoder)) {
      return { failures: ops.map(() => encoder), writeCount: 0 }
    }
    const failures: (NetlinkFailure | undefined)[] = []
    let writeCount = 0
    for (const [i, op] of ops.entries()) {
      const device = devices[i] ?? ''
      if (op.kind === 'sync.start' && device === '') {
        failures.push({ code: 'ENODEV', message: 'no interface holds the address of its network' })
        continue
      }
      const [failure] = await this.socket.batch('apply', 1, (writer) =>
        writeSetting(writer, encoder.family, op, device),
      )
      failures.push(failure)
      writeCount++
    }
    return { failures, writeCount }
  }

  private async destinationsOf(
    encoder: IpvsEncoder,
    service: ServiceRef,
  ): Promise<readonly ObservedDestination[] | undefined> {
    const found = await this.socket.dump(
      'list destinations',
      (writer) => encoder.dumpDestinations(writer, service),
      decodeDestination,
    )
    if (found.length > 0) return found
    // The kernel answers a service that is not there with an empty list and no error.
    return (await this.serviceExists(encoder, service)) ? [] : undefined
  }

  private async serviceExists(encoder: IpvsEncoder, service: ServiceRef): Promise<boolean> {
    const { failure } = await this.socket.request(
      'get service',
      (writer) => encoder.getService(writer, service),
      () => true,
    )
    if (failure === undefined) return true
    if (failure.code === 'ESRCH') return false
    throw new KernelError('get service', failure.code, failure.message)
  }

  /** Reads with a known family number; ENOENT to a read means that ip_vs was loaded anew. */
  private async withEncoder<T>(
    operation: string,
    read: (encoder: IpvsEncoder) => Promise<T>,
  ): Promise<T> {
    try {
      return await read(await this.requireEncoder(operation))
    } catch (error) {
      if (!(error instanceof KernelError && error.code === 'ENOENT')) throw error
      this.encoder = undefined
      return await read(await this.requireEncoder(operation))
    }
  }

  private async requireEncoder(operation: string): Promise<IpvsEncoder> {
    const encoder = await this.findEncoder(operation)
    if (encoder instanceof IpvsEncoder) return encoder
    throw new KernelError(operation, encoder.code, encoder.message)
  }

  private async findEncoder(operation: string): Promise<IpvsEncoder | NetlinkFailure> {
    if (this.encoder !== undefined) return this.encoder
    const { items, failure } = await resolveFamily(this.socket, IPVS_GENL_NAME)
    if (failure?.code === 'ENOENT') return IPVS_MISSING
    if (failure !== undefined) return failure
    const [family] = items
    if (family === undefined) {
      throw new KernelError(operation, 'EBADMSG', 'the kernel named no IPVS family')
    }
    this.encoder = new IpvsEncoder(family)
    return this.encoder
  }
}
