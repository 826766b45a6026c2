/**
 * In which format a published state is: what its signed manifest says. No column of its own, so that nothing can say
 * otherwise than what agents read. Asked once per state.
 */
import { STATE_FORMAT } from '@lvs-fleet/contract'
import * as z from 'zod'
import type { PublishedState } from '../store/state-store.ts'

const formatSchema = z.object({ format: z.int().min(1) })
const known = new WeakMap<PublishedState, number>()

/** 0 for what cannot be read at all. */
export function formatOf(state: PublishedState): number {
  const held = known.get(state)
  if (held !== undefined) return held
  const format = readFormat(state.jws)
  known.set(state, format)
  return format
}

/** Published by an older version of this program; a newer one's is left alone. */
export function isOldFormat(state: PublishedState): boolean {
  return state.removedAt === null && formatOf(state) < STATE_FORMAT
}

function readFormat(jws: string): number {
  try {
    const payload = Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString('utf8')
    return formatSchema.parse(JSON.parse(payload)).format
  } catch {
    return 0
  }
}
