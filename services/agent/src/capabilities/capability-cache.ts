/**
 * What the kernel can, found once per boot: the answer is kept on disk under kernel release, boot and the
 * state of the installed modules. An answer without IPVS is not kept: somebody is about to mend it.
 */
import { stat } from 'node:fs/promises'
import { capabilitiesSchema, type Capabilities } from '@lvs-fleet/contract'
import * as z from 'zod/mini'
import { loadSealedJson, saveSealedJson } from '../disk/sealed.ts'
import { errnoOf, type Disk, type Log } from '../ports.ts'
import type { HostFacts } from '../report.ts'

const FILE = 'capabilities.json'
const fileSchema = z.object({ key: z.string(), capabilities: capabilitiesSchema })

/** From disk when it is of this boot, else by trying. A disk that takes nothing only means to try again. */
export async function findCapabilities(
  disk: Disk,
  facts: HostFacts,
  probe: () => Promise<Capabilities>,
  log: Log,
): Promise<Capabilities> {
  const key = await keyOf(facts)
  const kept = fileSchema.safeParse(await loadSealedJson(disk, FILE).catch(() => undefined))
  if (kept.success && kept.data.key === key) return kept.data.capabilities
  const capabilities = await probe()
  if (capabilities.ipvs !== 'yes') return capabilities
  try {
    await saveSealedJson(disk, FILE, { key, capabilities })
  } catch (error) {
    log('warn', 'what the kernel can is not kept', { code: errnoOf(error) ?? String(error) })
  }
  return capabilities
}

async function keyOf({ bootId, kernelVersion }: HostFacts): Promise<string> {
  const modules = await stat(`/lib/modules/${kernelVersion}/modules.dep`).catch(() => undefined)
  return `${kernelVersion} ${bootId} ${modules?.mtimeMs ?? 0}`
}
