/**
 * The GUE part of the kernel port: receive ports over the generic netlink family `fou`. That family has no
 * module alias (net/ipv4/fou.c), so asking for it loads nothing: before the first port is opened we ask
 * modprobe, which is no error where the module is built in. Only opening needs it: where it is not loaded there
 * are no ports.
 */
import type { Op } from '@lvs-fleet/contract'
import type { Applied } from '../applied.ts'
import { KernelError, type ObservedGuePort } from '../kernel.ts'
import { resolveFamily } from '../netlink/generic.ts'
import type { NetlinkFailure } from '../netlink/message.ts'
import type { NetlinkSocket } from '../netlink/socket.ts'
import { FOU_GENL_NAME } from './constants.ts'
import { closeGuePort, decodeGuePort, dumpGuePorts, openGuePort } from './gue-ports.ts'
import { modprobe, type Modprobe } from './modprobe.ts'

export type GuePortOp = Extract<Op, { kind: `gue-port.${string}` }>

export class GueKernel {
  private readonly socket: NetlinkSocket
  private readonly load: Modprobe
  private family: number | undefined

  constructor(socket: NetlinkSocket, load: Modprobe = modprobe) {
    this.socket = socket
    this.load = load
  }

  async observe(): Promise<readonly ObservedGuePort[]> {
    try {
      const family = await this.findFamily()
      if (family === undefined) return []
      return await this.socket.dump(
        'list gue ports',
        (writer) => dumpGuePorts(writer, family),
        decodeGuePort,
      )
    } catch (error) {
      // Its number was taken back: the module was unloaded, and with it every port.
      if (!(error instanceof KernelError && error.code === 'ENOENT')) throw error
      this.family = undefined
      return []
    }
  }

  async apply(ops: readonly GuePortOp[]): Promise<Applied> {
    const family = (await this.findFamily()) ?? (await this.loadFamily())
    if (typeof family !== 'number') return { failures: ops.map(() => family), writeCount: 0 }
    const failures = await this.socket.batch('apply', ops.length, (writer, index) => {
      const op = ops[index]
      if (op?.kind === 'gue-port.open') openGuePort(writer, family, op.guePort)
      if (op?.kind === 'gue-port.close') closeGuePort(writer, family, op.guePort)
    })
    return { failures, writeCount: ops.length }
  }

  private async findFamily(): Promise<number | undefined> {
    if (this.family !== undefined) return this.family
    const { items, failure } = await resolveFamily(this.socket, FOU_GENL_NAME)
    if (failure !== undefined && failure.code !== 'ENOENT') {
      throw new KernelError('list gue ports', failure.code, failure.message)
    }
    this.family = items[0]
    return this.family
  }

  private async loadFamily(): Promise<number | NetlinkFailure> {
    const said = await this.load('fou')
    const family = await this.findFamily()
    if (family !== undefined) return family
    const why = said === '' ? '' : ` (${said})`
    const message = `fou is not loaded${why}: modprobe fou, and name it in /etc/modules-load.d`
    return { code: 'EPROTONOSUPPORT', message }
  }
}
