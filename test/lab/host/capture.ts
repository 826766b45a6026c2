// Packets on an interface of a host, as lines of tcpdump.
import type { Lab } from '../lab.ts'
import type { Process } from './process.ts'

export type CaptureOptions = { readonly interface?: string; readonly filter?: string }

const START_TIMEOUT_MS = 20_000

export class Capture {
  private readonly process: Process

  private constructor(process: Process) {
    this.process = process
  }

  static async start(lab: Lab, host: string, options: CaptureOptions): Promise<Capture> {
    const { interface: iface = 'eth0', filter = '' } = options
    const command = ['tcpdump', '-nn', '-l', '-U', '--immediate-mode', '-i', iface, filter]
    const name = `capture-${host}-${iface}`
    const process = await lab.spawn(host, command.filter(Boolean), { name })
    await process.waitFor('listening on', START_TIMEOUT_MS)
    return new Capture(process)
  }

  /** The lines so far. */
  lines(): string[] {
    return this.process.stdout().split('\n').filter(Boolean)
  }

  async stop(): Promise<string[]> {
    await this.process.kill('SIGINT')
    await this.process.stop()
    return this.lines()
  }
}
