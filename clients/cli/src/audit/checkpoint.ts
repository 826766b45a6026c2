/** Signed checkpoints of the audit trail: text in, the checkpoint and who signed it out, or why it is not believed. */
import { createPublicKey, hash, verify } from 'node:crypto'
import {
  AUDIT_CHECKPOINT_TYPE,
  auditCheckpointSchema,
  type AuditCheckpoint,
  type PublicKey,
} from '@lvs-fleet/contract'
import * as z from 'zod'

export type CheckpointResult =
  | { readonly ok: true; readonly checkpoint: AuditCheckpoint; readonly thumbprint: string }
  | { readonly ok: false; readonly why: string }

const headerSchema = z.strictObject({
  alg: z.literal('EdDSA'),
  typ: z.literal(AUDIT_CHECKPOINT_TYPE),
  kid: z.string(),
})

/** Compact JWS, Ed25519 (RFC 8037). Only what was signed is taken from it, never what stands beside. */
export function readCheckpoint(jws: string, keys: readonly PublicKey[]): CheckpointResult {
  const [header = '', payload = '', signature = '', ...more] = jws.split('.')
  if (more.length > 0 || signature === '') return { ok: false, why: 'is no compact JWS' }
  const told = headerSchema.safeParse(parseJson(header))
  if (!told.success) return { ok: false, why: 'is no signed checkpoint' }
  const key = keys.find((one) => thumbprintOf(one) === told.data.kid)
  if (key === undefined)
    return { ok: false, why: `is signed by ${told.data.kid}, which is not trusted` }
  const isSigned = verify(
    null,
    Buffer.from(`${header}.${payload}`),
    createPublicKey({ key: { ...key }, format: 'jwk' }),
    Buffer.from(signature, 'base64url'),
  )
  if (!isSigned) return { ok: false, why: 'has a signature that does not fit' }
  const checkpoint = auditCheckpointSchema.safeParse(parseJson(payload))
  if (!checkpoint.success) return { ok: false, why: 'signs something else' }
  return { ok: true, checkpoint: checkpoint.data, thumbprint: told.data.kid }
}

/** RFC 7638. */
export function thumbprintOf(key: PublicKey): string {
  return hash('sha256', `{"crv":"${key.crv}","kty":"${key.kty}","x":"${key.x}"}`, 'base64url')
}

function parseJson(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
}
