/**
 * The ledger on disk: two sealed files written alternately, the higher sequence number counts.
 * Written ahead: ownership is on disk before the kernel is told to create, so no crash leaves an orphan.
 * Nothing is written while nothing changed.
 */
import {
  addressStateSchema,
  clampStateSchema,
  deviceStateSchema,
  guePortKey,
  guePortStateSchema,
  markKey,
  markStateSchema,
  syncDaemonStateSchema,
  TIMEOUTS,
  sourceNatKey,
  sourceNatStateSchema,
} from '@lvs-fleet/contract'
import * as z from 'zod/mini'
import { saveAtomically, seal, unseal } from '../disk/sealed.ts'
import type { Disk } from '../ports.ts'
import { emptyLedger, type Ledger } from './ledger.ts'

const FILES = ['ledger-a', 'ledger-b'] as const

const deadlineSchema = z.number()
const headSchema = z.object({ sequence: z.int().check(z.gte(1)), scope: z.string() })
const ledgerFileSchema = z.object({
  ...headSchema.shape,
  lingerSeconds: z.int().check(z.gte(0)),
  services: z.array(z.tuple([z.string(), z.int()])),
  drains: z.array(z.tuple([z.string(), z.array(z.tuple([z.string(), deadlineSchema]))])),
  askedDrains: z._default(
    z.array(z.tuple([z.string(), z.array(z.tuple([z.string(), deadlineSchema]))])),
    [],
  ),
  devices: z.array(deviceStateSchema),
  guePorts: z._default(z.array(guePortStateSchema), []),
  addresses: z.array(z.tuple([z.string(), addressStateSchema])),
  sysctls: z.array(z.object({ key: z.string(), previous: z.string(), value: z.string() })),
  clamps: z.array(clampStateSchema),
  marks: z._default(z.array(markStateSchema), []),
  timeouts: z._default(
    z.array(z.object({ name: z.enum(TIMEOUTS), previous: z.int(), value: z.int() })),
    [],
  ),
  syncDaemons: z._default(z.array(syncDaemonStateSchema), []),
  sourceNats: z._default(z.array(sourceNatStateSchema), []),
  lingers: z.array(z.tuple([z.string(), deadlineSchema])),
})
type LedgerFile = z.infer<typeof ledgerFileSchema>

export type LedgerBook = {
  readonly ledger: Ledger
  /** Says that the ledger differs from what is on disk. */
  touch(): void
  /** Writes when touched. */
  save(): Promise<void>
  /** What was found broken at opening. */
  readonly alarms: readonly string[]
}

/** Opens the ledger of `scope`; one of another boot or namespace owns nothing. */
export async function openLedger(disk: Disk, scope: string): Promise<LedgerBook> {
  const alarms: string[] = []
  const found: { file: (typeof FILES)[number]; sequence: number; own: LedgerFile | undefined }[] =
    []
  for (const file of FILES) {
    const sealed = unseal(await disk.read(file))
    if (sealed.is === 'missing') continue
    const parsed = sealed.is === 'whole' ? parseLedger(sealed.text, scope) : undefined
    if (parsed === undefined) alarms.push(`${file} is corrupt`)
    else found.push({ file, ...parsed })
  }
  found.sort((a, b) => b.sequence - a.sequence)
  const newest = found[0]
  const ledger = newest?.own === undefined ? emptyLedger(scope) : fromFile(newest.own)
  let sequence = newest?.sequence ?? 0
  let last = newest?.file
  let touched = false
  return {
    ledger,
    alarms,
    touch: () => {
      touched = true
    },
    async save() {
      if (!touched) return
      const file = last === 'ledger-a' ? 'ledger-b' : 'ledger-a'
      await saveAtomically(disk, file, seal(JSON.stringify(toFile(ledger, sequence + 1))))
      sequence++
      last = file
      touched = false
    },
  }
}

/** Of another scope its number counts and no more: the entries, thousands after a reboot, are void. */
function parseLedger(
  text: string,
  scope: string,
): { sequence: number; own: LedgerFile | undefined } | undefined {
  const file: unknown = JSON.parse(text)
  const head = headSchema.safeParse(file)
  if (!head.success) return undefined
  const { sequence } = head.data
  if (head.data.scope !== scope) return { sequence, own: undefined }
  const parsed = ledgerFileSchema.safeParse(file)
  return parsed.success ? { sequence, own: parsed.data } : undefined
}

function fromFile(file: LedgerFile): Ledger {
  return {
    scope: file.scope,
    lingerSeconds: file.lingerSeconds,
    services: new Map(file.services),
    drains: new Map(file.drains.map(([key, entries]) => [key, new Map(entries)])),
    askedDrains: new Map(file.askedDrains.map(([key, entries]) => [key, new Map(entries)])),
    devices: new Map(file.devices.map((device) => [device.name, device])),
    guePorts: new Map(file.guePorts.map((guePort) => [guePortKey(guePort), guePort])),
    addresses: new Map(file.addresses),
    sysctls: new Map(file.sysctls.map((sysctl) => [sysctl.key, sysctl])),
    clamps: new Map(file.clamps.map((clamp) => [clamp.address, clamp])),
    marks: new Map(file.marks.map((mark) => [markKey(mark), mark])),
    timeouts: new Map(file.timeouts.map((timeout) => [timeout.name, timeout])),
    syncDaemons: new Map(file.syncDaemons.map((daemon) => [daemon.role, daemon])),
    sourceNats: new Map(file.sourceNats.map((pair) => [sourceNatKey(pair), pair])),
    lingers: new Map(file.lingers),
  }
}

function toFile(ledger: Ledger, sequence: number): LedgerFile {
  return {
    sequence,
    scope: ledger.scope,
    lingerSeconds: ledger.lingerSeconds,
    services: [...ledger.services],
    drains: [...ledger.drains].map(([key, entries]) => [key, [...entries]]),
    askedDrains: [...ledger.askedDrains].map(([key, entries]) => [key, [...entries]]),
    devices: [...ledger.devices.values()],
    guePorts: [...ledger.guePorts.values()],
    addresses: [...ledger.addresses],
    sysctls: [...ledger.sysctls.values()],
    clamps: [...ledger.clamps.values()],
    marks: [...ledger.marks.values()],
    timeouts: [...ledger.timeouts.values()],
    syncDaemons: [...ledger.syncDaemons.values()],
    sourceNats: [...ledger.sourceNats.values()],
    lingers: [...ledger.lingers],
  }
}
