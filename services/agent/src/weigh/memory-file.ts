/**
 * What weighing remembers, on disk: without it an agent that starts anew would count everybody as up until the first
 * checks are done. Good within one boot only, because its times are of the boot clock; lost or damaged is as new.
 */
import { levelSchema, WEIGHT_FACTORS } from '@lvs-fleet/contract'
import * as z from 'zod/mini'
import { saveLoosely, seal, unseal } from '../disk/sealed.ts'
import type { Disk } from '../ports.ts'
import type { Memory } from './weigh.ts'

const FILE = 'weights.json'

const sharesSchema = z.object({
  levels: z.array(z.object({ level: levelSchema, share: z.int(), sinceWallMs: z.number() })),
  changedMs: z.number(),
  isMoving: z.boolean(),
})
const memberSchema = z.object({
  isUp: z.boolean(),
  isServing: z.boolean(),
  rampFromMs: z.nullable(z.number()),
  since: z.partialRecord(
    z.enum(WEIGHT_FACTORS),
    z.object({ value: z.number(), sinceWallMs: z.number() }),
  ),
})
const fileSchema = z.object({
  bootId: z.string(),
  services: z.array(
    z.object({
      key: z.string(),
      shares: z.nullable(sharesSchema),
      members: z.array(z.object({ ...memberSchema.shape, key: z.string() })),
    }),
  ),
})
type Saved = z.infer<typeof fileSchema>['services'][number]

export type MemoryFile = { save(memory: ReadonlyMap<string, Memory>): Promise<void> }

/** Writes when something changed. */
export function createMemoryFile(disk: Disk, bootId: string): MemoryFile {
  let saved = contentOf(bootId, new Map())
  return {
    async save(memory) {
      const content = contentOf(bootId, memory)
      if (content === saved) return
      await saveLoosely(disk, FILE, seal(content))
      saved = content
    },
  }
}

export async function loadMemory(disk: Disk, bootId: string): Promise<Map<string, Memory>> {
  const sealed = unseal(await disk.read(FILE))
  if (sealed.is !== 'whole') return new Map()
  const value: unknown = JSON.parse(sealed.text)
  const parsed = fileSchema.safeParse(value)
  if (!parsed.success || parsed.data.bootId !== bootId) return new Map()
  return new Map(parsed.data.services.map((service) => [service.key, memoryOf(service)]))
}

function contentOf(bootId: string, memory: ReadonlyMap<string, Memory>): string {
  return JSON.stringify({
    bootId,
    services: [...memory].map(([key, { shares, members }]) => ({
      key,
      shares:
        shares === undefined
          ? null
          : {
              levels: [...shares.byLevel].map(([level, share]) => ({
                level,
                share,
                sinceWallMs: shares.sinceWallMs.get(level) ?? 0,
              })),
              changedMs: shares.changedMs,
              isMoving: shares.isMoving,
            },
      members: [...members].map(([end, member]) => ({ key: end, ...member })),
    })),
  } satisfies z.input<typeof fileSchema>)
}

function memoryOf({ shares, members }: Saved): Memory {
  return {
    shares:
      shares === null
        ? undefined
        : {
            byLevel: new Map(shares.levels.map(({ level, share }) => [level, share])),
            sinceWallMs: new Map(
              shares.levels.map(({ level, sinceWallMs }) => [level, sinceWallMs]),
            ),
            changedMs: shares.changedMs,
            isMoving: shares.isMoving,
          },
    members: new Map(members.map(({ key, ...member }) => [key, member])),
  }
}
