/** `probe-kernel`: what runs inside the scratch namespace; prints one line of JSON. Not for people. */
import { probeKernel } from '../kernel/probe/probe-kernel.ts'

export async function probeCommand(print: (text: string) => void): Promise<number> {
  print(`${JSON.stringify(await probeKernel())}\n`)
  return 0
}
