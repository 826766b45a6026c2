/** What rows measure on: a controller and one guest, started when a row first asks, ended with the run. */
import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Controller } from '../test/lab/fleet/controller.ts'
import { FleetLab } from '../test/lab/fleet/fleet-lab.ts'
import type { Guest } from './record.ts'

export type Log = (text: string) => void

export class Outside implements AsyncDisposable {
  readonly log: Log
  private starting: Promise<FleetLab> | undefined
  private alone: Promise<Controller> | undefined

  constructor(log: Log) {
    this.log = log
  }

  fleet(): Promise<FleetLab> {
    this.starting ??= FleetLab.start(this.log)
    return this.starting
  }

  /** Without a guest, which would take its share of the machine. */
  controller(): Promise<Controller> {
    this.alone ??= Controller.start(join(tmpdir(), `lvsfleet-${randomUUID()}`))
    return this.alone
  }

  /** Undefined when no row needed a guest. */
  async guest(): Promise<Guest | undefined> {
    if (this.starting === undefined) return undefined
    const { lab } = await this.starting
    const line = async (command: string) => (await lab.run('root', command)).stdout.trim()
    return {
      engine: lab.engine,
      kernel: await line('uname -r'),
      ipvsadm: await line('ipvsadm --version | head -n 1'),
      keepalived: await line('keepalived --version 2>&1 | head -n 1'),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.alone?.catch(() => undefined))?.stop()
    await (await this.starting?.catch(() => undefined))?.stop()
  }
}
