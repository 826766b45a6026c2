// Carries out a topology plan in the guest. Processes are dear here (20 to 70 ms each), so there is
// one `ip -batch` for the root namespace and one for each host, and settings are written directly.
import * as fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NamespacePlan, TopologyPlan } from '../protocol.ts'
import { runCommand } from './command.ts'
import { inNamespace, ROOT } from './namespace.ts'

const MODULES_LOADED = '/run/lab/modules-loaded'
const STEP_TIMEOUT_MS = 60_000

export async function buildTopology(plan: TopologyPlan): Promise<void> {
  await modulesLoaded()
  writeSysctls(plan.rootSysctls)
  await ipBatch(ROOT, plan.rootBatch)
  await Promise.all(plan.namespaces.map(buildNamespace))
}

async function buildNamespace({
  host,
  sysctls,
  batch,
  sysctlsAfter,
}: NamespacePlan): Promise<void> {
  inNamespace(host, () => writeSysctls(sysctls))
  await ipBatch(host, batch)
  inNamespace(host, () => writeSysctls(sysctlsAfter))
}

/** Without them a namespace would be born without its tunnel devices. init.sh loads them. */
async function modulesLoaded(): Promise<void> {
  const deadline = Date.now() + STEP_TIMEOUT_MS
  while (!fs.existsSync(MODULES_LOADED)) {
    if (Date.now() > deadline) throw new Error('the guest did not load its kernel modules')
    await sleep(20)
  }
}

function writeSysctls(sysctls: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(sysctls)) {
    fs.writeFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, value)
  }
}

async function ipBatch(host: string, batch: readonly string[]): Promise<void> {
  const stdin = `${batch.join('\n')}\n`
  const command = ['ip', '-batch', '-']
  const result = await runCommand({ host, command, timeoutMs: STEP_TIMEOUT_MS, stdin })
  if (result.code !== 0) throw new Error(`${host}: ip -batch failed:\n${result.stderr}${stdin}`)
}
