/**
 * TLS settings of a check → a context with its files read. Kept for a minute: hundreds of checks share one, and a
 * certificate that was renewed on disk is used without a restart.
 */
import { readFile } from 'node:fs/promises'
import type { SecureContext } from 'node:tls'
import type { CheckTls } from '@lvs-fleet/contract'

const KEEP_MS = 60_000
/** Settings that differ are few; bounded, and emptied when full. */
const CONTEXTS_MAX = 256

type Kept = { readonly context: Promise<SecureContext>; readonly untilMs: number }
const kept = new Map<string, Kept>()

/** Rejects with UnusableFile where a file is missing or no good. */
export function secureContext(tls: CheckTls): Promise<SecureContext> {
  const { caFile, certificateFile, keyFile } = tls
  const name = JSON.stringify([caFile, certificateFile, keyFile])
  const nowMs = performance.now()
  const known = kept.get(name)
  if (known !== undefined && known.untilMs > nowMs) return known.context
  if (kept.size >= CONTEXTS_MAX) kept.clear()
  const context = createContext(tls)
  kept.set(name, { context, untilMs: nowMs + KEEP_MS })
  return context
}

async function createContext({
  caFile,
  certificateFile,
  keyFile,
}: CheckTls): Promise<SecureContext> {
  const { createSecureContext } = process.getBuiltinModule('node:tls')
  const [ca, cert, key] = await Promise.all([caFile, certificateFile, keyFile].map(read))
  try {
    return createSecureContext({
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    })
  } catch (cause) {
    throw new UnusableFile(`${certificateFile} and ${keyFile} are no certificate and key`, cause)
  }
}

async function read(file: string | null): Promise<Buffer | undefined> {
  if (file === null) return undefined
  try {
    return await readFile(file)
  } catch (cause) {
    throw new UnusableFile(`${file} cannot be read`, cause)
  }
}

/** A file on the director is missing or no good. */
export class UnusableFile extends Error {
  override readonly name = 'UnusableFile'

  constructor(message: string, cause: unknown) {
    super(message, { cause })
  }
}
