/**
 * The agent as it ships but for the kernel, which is the tests' fake: for its own CPU on a real processor.
 * SIGUSR2 stops its clock, and with it the verify rounds, which would drown the cost of a change.
 */
import { runCommand } from '../../services/agent/src/cli/run-command.ts'
import { parseConfig } from '../../services/agent/src/config.ts'
import { createLog, systemClock } from '../../services/agent/src/system.ts'
import { createFakeKernel } from '../../test/fakes/fake-kernel.ts'

const kernel = createFakeKernel()
for (const name of [
  'conn_reuse_mode',
  'expire_nodest_conn',
  'expire_quiescent_template',
  'sloppy_tcp',
]) {
  kernel.sysctls.set(`net.ipv4.vs.${name}`, '0')
}
let stoppedAtMs: number | undefined
process.on('SIGUSR2', () => (stoppedAtMs = systemClock.monotonicMs()))
const clock = { ...systemClock, monotonicMs: () => stoppedAtMs ?? systemClock.monotonicMs() }
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
process.exitCode = await runCommand(parseConfig(process.argv.slice(2)), {
  clock,
  random: Math.random,
  log: createLog('plain', (line) => process.stderr.write(line)),
  print: (text) => process.stdout.write(text),
  openKernel: async () => kernel,
  signal: stop.signal,
})
