/** The agent as it ships but for the kernel, which is the tests' fake: for its own CPU on a real processor. */
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
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
process.exitCode = await runCommand(parseConfig(process.argv.slice(2)), {
  clock: systemClock,
  random: Math.random,
  log: createLog('plain', (line) => process.stderr.write(line)),
  print: (text) => process.stdout.write(text),
  openKernel: async () => kernel,
  signal: stop.signal,
})
