/**
 * The agent as it ships but for the kernel, which takes every IPVS message and keeps nothing: for the agent's own CPU on
 * a real processor. Its clock stands, so that no verify round finds the kernel empty.
 */
import { runCommand } from '../../services/agent/src/cli/run-command.ts'
import { parseConfig } from '../../services/agent/src/config.ts'
import { applyOps } from '../../services/agent/src/kernel/apply-ops.ts'
import { IpvsKernel } from '../../services/agent/src/kernel/ipvs/ipvs-kernel.ts'
import type { Kernel } from '../../services/agent/src/kernel/kernel.ts'
import { NETLINK_GENERIC } from '../../services/agent/src/kernel/netlink/constants.ts'
import { NetlinkSocket } from '../../services/agent/src/kernel/netlink/socket.ts'
import { createLog, systemClock } from '../../services/agent/src/system.ts'
import { createFakeKernel } from '../../test/fakes/fake-kernel.ts'
import { openAckSocket } from './ack-socket.ts'

const fake = createFakeKernel()
for (const name of [
  'conn_reuse_mode',
  'expire_nodest_conn',
  'expire_quiescent_template',
  'sloppy_tcp',
]) {
  fake.sysctls.set(`net.ipv4.vs.${name}`, '0')
}
const ipvs = new IpvsKernel(new NetlinkSocket({ protocol: NETLINK_GENERIC, open: openAckSocket }))
const kernel: Kernel = {
  ...fake,
  listServices: () => ipvs.listServices(),
  listDestinations: (services) => ipvs.listDestinations(services),
  apply: async (ops) => {
    const isIpvs = ops.every(({ kind }) => /^(service|destination)\./.test(kind))
    if (!isIpvs) return fake.apply(ops)
    return applyOps(ops, async (run) =>
      run.kind === 'ipvs' ? (await ipvs.apply(run.ops)).failures : [],
    )
  },
}
const startedMs = systemClock.monotonicMs()
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
process.exitCode = await runCommand(parseConfig(process.argv.slice(2)), {
  clock: { ...systemClock, monotonicMs: () => startedMs },
  random: Math.random,
  log: createLog('plain', (line) => process.stderr.write(line)),
  print: (text) => process.stdout.write(text),
  openKernel: async () => kernel,
  signal: stop.signal,
})
