/**
 * Files that tell whether they are whole: the text, then a line with its SHA-256. A torn write, a cut
 * or a flipped bit reads as corrupt, never as another content. `saveAtomically` replaces a file so that
 * after a crash there is the old one or the new one: temporary file, fsync, rename, fsync directory.
 */
import { hash } from 'node:crypto'
import { dirname } from 'node:path'
import type { Disk } from '../ports.ts'

export const PRIVATE_MODE = 0o600

export type Sealed =
  | { readonly is: 'whole'; readonly text: string }
  | { readonly is: 'missing' }
  | { readonly is: 'corrupt' }

export function sha256Hex(text: string): string {
  return hash('sha256', text, 'hex')
}

export function seal(text: string): string {
  return `${text}\nsha256 ${sha256Hex(text)}\n`
}

export function unseal(content: string | undefined): Sealed {
  if (content === undefined) return { is: 'missing' }
  const match = /^([^]*)\nsha256 ([0-9a-f]{64})\n$/.exec(content)
  const text = match?.[1]
  return text !== undefined && sha256Hex(text) === match?.[2]
    ? { is: 'whole', text }
    : { is: 'corrupt' }
}

export async function saveAtomically(disk: Disk, path: string, content: string): Promise<void> {
  await disk.write(`${path}.tmp`, content, PRIVATE_MODE)
  await disk.rename(`${path}.tmp`, path)
  await disk.syncDirectory(dirname(path))
}

/** Readers see the old file or the new one; after a power cut perhaps neither. */
export async function saveLoosely(disk: Disk, path: string, content: string): Promise<void> {
  await disk.writeLoosely(`${path}.tmp`, content, PRIVATE_MODE)
  await disk.rename(`${path}.tmp`, path)
}

/** A JSON value under a seal; undefined when missing or corrupt. */
export async function loadSealedJson(disk: Disk, path: string): Promise<unknown> {
  const sealed = unseal(await disk.read(path))
  if (sealed.is !== 'whole') return undefined
  const value: unknown = JSON.parse(sealed.text)
  return value
}

export async function saveSealedJson(disk: Disk, path: string, value: unknown): Promise<void> {
  await saveAtomically(disk, path, seal(JSON.stringify(value)))
}
