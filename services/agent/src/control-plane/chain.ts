/**
 * The chain by which the control plane notices a copy of this host: each assertion shows the link before and a new
 * random one. The pair is on disk before it is sent, and is repeated until an answer came, so that neither a lost
 * answer nor a crash nor a full disk ever looks like a copy.
 */
import { randomBytes } from 'node:crypto'
import * as z from 'zod/mini'
import { loadSealedJson, saveSealedJson } from '../disk/sealed.ts'
import type { Disk } from '../ports.ts'

const FILE = 'chain.json'
const linkSchema = z.string().check(z.regex(/^[A-Za-z0-9_-]{22,64}$/))
const pairSchema = z.object({ prev: linkSchema, next: linkSchema })
export type ChainPair = z.infer<typeof pairSchema>

export type Chain = {
  /** What to show now. */
  pair(): Promise<ChainPair>
  /** An answer came to the pair that was shown. */
  confirm(): void
}

/** `isOnlooker`: a second process of this host; it repeats what the first showed and writes nothing. */
export function openChain(disk: Disk, isOnlooker = false): Chain {
  let shown: ChainPair | undefined
  let isConfirmed = false
  return {
    async pair() {
      shown ??= await load(disk)
      if (isOnlooker && shown !== undefined) return shown
      if (shown !== undefined && !isConfirmed) return shown
      const next = { prev: shown?.next ?? newLink(), next: newLink() }
      // The first pair must be kept; later, one that cannot be written is not shown, and the last one is repeated.
      const isKept = await saveSealedJson(disk, FILE, next).then(
        () => true,
        (error: unknown) => {
          if (shown === undefined) throw error
          return false
        },
      )
      if (isKept) {
        shown = next
        isConfirmed = false
      }
      return shown ?? next
    },
    confirm() {
      isConfirmed = true
    },
  }
}

/** Before an enrolment with a new key. */
export async function forgetChain(disk: Disk): Promise<void> {
  await disk.remove(FILE)
}

async function load(disk: Disk): Promise<ChainPair | undefined> {
  const parsed = pairSchema.safeParse(await loadSealedJson(disk, FILE))
  return parsed.success ? parsed.data : undefined
}

function newLink(): string {
  return randomBytes(18).toString('base64url')
}
