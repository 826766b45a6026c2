/** Asks modprobe for a kernel module; gives what it complained about, empty when it did not. */
import { runProgram } from '../run-program.ts'

export type Modprobe = (module: string) => Promise<string>

export const modprobe: Modprobe = async (module) => {
  const ended = await runProgram(['modprobe', module])
  if (ended.is === 'failed') return ended.message
  if (ended.code === 0) return ''
  return ended.stderr.trim().split('\n', 1)[0] || `modprobe ended with ${ended.code}`
}
