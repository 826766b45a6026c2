/**
 * Sysctls below /proc/sys, the only interface that all of them have. Dots of a key are slashes of the
 * path, and slashes dots: `net.ipv4.conf.eth0/7.rp_filter` is that of eth0.7, as sysctl(8) has it.
 */
import { promises, readFileSync } from 'node:fs'
import type { Op } from '@lvs-fleet/contract'
import type { Applied } from './applied.ts'
import { KernelError } from './kernel.ts'
import { explainErrno } from './netlink/errno.ts'
import type { NetlinkFailure } from './netlink/message.ts'

export type SysctlOp = Extract<Op, { kind: 'sysctl.set' }>

export type SysctlFiles = {
  read(path: string): Promise<string>
  write(path: string, text: string): Promise<void>
}

const procFiles: SysctlFiles = {
  // What /proc answers is there at once. What is written may wait for other changes of the network.
  read: async (path) => readFileSync(path, 'utf8'),
  // r+ does not create: a key that is missing must say ENOENT, not EACCES.
  write: (path, text) => promises.writeFile(path, text, { flag: 'r+' }),
}

export class Sysctls {
  private readonly files: SysctlFiles

  constructor(files: SysctlFiles = procFiles) {
    this.files = files
  }

  async read(keys: readonly string[]): Promise<ReadonlyMap<string, string | undefined>> {
    const values = new Map<string, string | undefined>()
    for (const key of keys) values.set(key, await this.readOne(key))
    return values
  }

  async apply(ops: readonly SysctlOp[]): Promise<Applied> {
    const failures: (NetlinkFailure | undefined)[] = []
    for (const op of ops) failures.push(await this.write(op.key, op.to))
    return { failures, writeCount: ops.length }
  }

  /** Undefined when it was written. */
  async write(key: string, value: string): Promise<NetlinkFailure | undefined> {
    try {
      await this.files.write(sysctlPath(key), `${value}\n`)
      return undefined
    } catch (error) {
      const code = codeOf(error)
      const why = code === 'ENOENT' ? 'this kernel has no such sysctl' : explainErrno(code)
      return { code, message: `${key}: ${why}` }
    }
  }

  private async readOne(key: string): Promise<string | undefined> {
    try {
      return (await this.files.read(sysctlPath(key))).trim()
    } catch (error) {
      const code = codeOf(error)
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
      throw new KernelError(`read sysctl ${key}`, code, explainErrno(code))
    }
  }
}

/** `net.ipv4.ip_forward` → `/proc/sys/net/ipv4/ip_forward`. No part may lead upwards. */
export function sysctlPath(key: string): string {
  const parts = key.split('.').map((part) => part.replaceAll('/', '.'))
  if (parts.some((part) => /^\.*$/.test(part))) {
    throw new KernelError('sysctl', 'EINVAL', `${key} is not the name of a sysctl`)
  }
  return `/proc/sys/${parts.join('/')}`
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : 'EIO'
}
