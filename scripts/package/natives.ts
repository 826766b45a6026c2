/**
 * Where the machine code of a package comes from: Node and koffi's library as the lock file names them, netlink's
 * from its own package. For this machine they are installed already; for another one `npm pack` fetches them, and what
 * comes is held against the lock file's SHA-512.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as z from 'zod'
import type { Arch } from './elf.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const CACHE = `${root}dist/natives`

/** As Node and npm name them. */
export const NPM_ARCH: Readonly<Record<Arch, string>> = { amd64: 'x64', arm64: 'arm64' }

export type Natives = {
  /** Folders of packages, as they lie in node_modules. */
  readonly node: string
  readonly koffi: string
}

const lockSchema = z.object({
  packages: z.record(
    z.string(),
    z.object({ version: z.string().optional(), integrity: z.string().optional() }),
  ),
})

export function findNatives(arch: Arch): Natives {
  return {
    node: packageFolder(`node-linux-${NPM_ARCH[arch]}`),
    koffi: packageFolder(`@koromix/koffi-linux-${NPM_ARCH[arch]}`),
  }
}

function packageFolder(name: string): string {
  const installed = `${root}node_modules/${name}`
  if (existsSync(installed)) return installed
  const { packages } = lockSchema.parse(
    JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8')),
  )
  const locked = packages[`node_modules/${name}`]
  if (locked?.version === undefined || locked.integrity === undefined)
    throw new Error(`package-lock.json does not name ${name}`)
  return fetchPackage(name, locked.version, locked.integrity)
}

function fetchPackage(name: string, version: string, integrity: string): string {
  const folder = `${CACHE}/${name.replace('/', '-')}-${version}`
  if (existsSync(`${folder}/package/package.json`)) return `${folder}/package`
  mkdirSync(folder, { recursive: true })
  const packed = run('npm', ['pack', `${name}@${version}`, '--pack-destination', folder, '--json'])
  const [{ filename }] = z.tuple([z.object({ filename: z.string() })]).parse(JSON.parse(packed))
  const archive = `${folder}/${filename.replace('/', '-').replace('@', '')}`
  checkIntegrity(readFileSync(archive), integrity, name)
  run('tar', ['-xzf', archive, '-C', folder])
  return `${folder}/package`
}

/** Throws unless the bytes are those of the lock file (`sha512-` and base64). */
export function checkIntegrity(bytes: Uint8Array, integrity: string, name: string): void {
  const found = `sha512-${createHash('sha512').update(bytes).digest('base64')}`
  if (found !== integrity) throw new Error(`${name} is not what package-lock.json names: ${found}`)
}

function run(command: string, args: readonly string[]): string {
  const done = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.stderr}`)
  return done.stdout
}
