/**
 * One process per data folder. Takes the folder; gives a lock that dies with its process, or says who holds it.
 * Node has no flock. An abstract Unix socket named after the folder's inode is held by the kernel, exclusive
 * and gone with the process, but only Linux has it and only within one network namespace; so a pid file with
 * the process's start time stands beside it, which also names the holder.
 */
import { link, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import * as z from 'zod'

export type DataLock = { readonly release: () => Promise<void> }

const holderSchema = z.object({ pid: z.int().min(1), startedAt: z.string() })

export async function lockDataFolder(dataDir: string): Promise<DataLock> {
  const { dev, ino } = await stat(dataDir)
  const socket = await holdSocket(`\0lvsfleet-data-${dev}-${ino}`)
  const file = join(dataDir, 'api.pid')
  if (socket === 'taken') throw inUse(dataDir, (await readHolder(file))?.pid)
  try {
    await takePidFile(file, dataDir)
  } catch (error) {
    socket?.close()
    throw error
  }
  return {
    release: async () => {
      await rm(file, { force: true })
      socket?.close()
    },
  }
}

function inUse(dataDir: string, pid: number | undefined): Error {
  return new Error(
    `the data folder ${dataDir} is in use by another lvsfleet API${pid === undefined ? '' : ` (process ${pid})`}; ` +
      'stop it first, or set LVSFLEET_DATA to another folder',
  )
}

function holdSocket(name: string): Promise<Server | 'taken' | undefined> {
  if (process.platform !== 'linux') return Promise.resolve(undefined)
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => connection.destroy())
    server.unref()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve('taken')
      else reject(error)
    })
    server.listen(name, () => resolve(server))
  })
}

/** link() fails when the name exists, so two starters cannot both make the file. */
async function takePidFile(file: string, dataDir: string): Promise<void> {
  const mine = `${file}.${process.pid}`
  await writeFile(
    mine,
    JSON.stringify({ pid: process.pid, startedAt: await startTime(process.pid) }),
  )
  try {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        await link(mine, file)
        return
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
      }
      const holder = await readHolder(file)
      if (holder !== undefined && (await isAlive(holder))) throw inUse(dataDir, holder.pid)
      // Left by a process that was killed. Moved, not removed: a rename has one winner.
      await rename(file, `${mine}.stale`).catch(() => {})
      await rm(`${mine}.stale`, { force: true })
    }
    throw inUse(dataDir, undefined)
  } finally {
    await rm(mine, { force: true })
  }
}

async function readHolder(file: string): Promise<z.infer<typeof holderSchema> | undefined> {
  try {
    return holderSchema.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch {
    return undefined
  }
}

async function isAlive(holder: z.infer<typeof holderSchema>): Promise<boolean> {
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false
  }
  return (await startTime(holder.pid)) === holder.startedAt
}

/** Field 22 of /proc/PID/stat: tells a process from a later one of the same pid. Empty where there is no /proc. */
async function startTime(pid: number): Promise<string> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
