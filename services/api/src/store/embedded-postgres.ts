/**
 * The embedded database: a real Postgres server as our child process, on a Unix socket only.
 * Takes the data folder; gives connection settings and `stop`. It starts the server again when it dies,
 * and the server ends when we die (setpriv --pdeathsig): no orphan holds the data.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import type { Connection } from './database.ts'
import { isReachable, postgresFiles, postgresUser, type PostgresUser } from './embedded-files.ts'

const run = promisify(execFile)

const START_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 20_000
const RESTART_DELAY_MAX_MS = 5_000
/** sun_path has 108 bytes; Postgres appends `/.s.PGSQL.5432`. */
const SOCKET_FOLDER_MAX = 90
const DATABASE_USER = 'lvsfleet'

export type EmbeddedPostgres = {
  readonly connection: Connection
  /** Process id of the server, undefined while it is down. */
  readonly pid: () => number | undefined
  readonly stop: () => Promise<void>
}

export type EmbeddedLog = (level: 'info' | 'warn', message: string, fields?: object) => void

type Paths = {
  readonly binaries: string
  readonly cluster: string
  readonly socket: string
  readonly password: string
  readonly user: PostgresUser
  readonly socketIsTemporary: boolean
}

export async function startEmbeddedPostgres(
  dataDir: string,
  log: EmbeddedLog,
): Promise<EmbeddedPostgres> {
  const paths = await preparePaths(resolve(dataDir))
  await stopOrphan(paths.cluster, log)
  await initialise(paths, log)
  const password = (await readFile(paths.password, 'utf8')).trim()
  const connection: Connection = {
    host: paths.socket,
    user: DATABASE_USER,
    password,
    database: 'postgres',
  }
  return supervise(paths, connection, log)
}

async function preparePaths(dataDir: string): Promise<Paths> {
  const user = postgresUser()
  // The server's user must walk through the folder; what is secret in it has its own mode 0600.
  await mkdir(dataDir, { recursive: true, mode: user === undefined ? 0o700 : 0o711 })
  if (!(await isReachable(dataDir, user))) {
    throw new Error(
      `Postgres cannot run as root, and user ${user?.uid} cannot reach ${dataDir}; ` +
        'set LVSFLEET_DATA to a folder whose parents others may enter, such as /var/lib/lvsfleet',
    )
  }
  const binaries = join(await postgresFiles(dataDir, user), 'bin')
  const wanted = join(dataDir, 'run')
  const socketIsTemporary = wanted.length > SOCKET_FOLDER_MAX
  const socket = socketIsTemporary ? await mkdtemp(join(tmpdir(), 'lvsfleet-')) : wanted
  await mkdir(socket, { recursive: true, mode: 0o700 })
  await chmod(socket, 0o700)
  if (user !== undefined) await chown(socket, user.uid, user.gid)
  const password = join(dataDir, 'postgres.password')
  return { binaries, cluster: join(dataDir, 'postgres'), socket, password, user, socketIsTemporary }
}

/** Makes the cluster beside its final place and renames it, so that a killed initdb leaves nothing half done. */
async function initialise(paths: Paths, log: EmbeddedLog): Promise<void> {
  if ((await stat(join(paths.cluster, 'PG_VERSION')).catch(() => undefined)) !== undefined) return
  log('info', 'making a new embedded database', { folder: paths.cluster })
  const unfinished = `${paths.cluster}.unfinished`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { mode: 0o700 })
  if (paths.user !== undefined) await chown(unfinished, paths.user.uid, paths.user.gid)
  await writeFile(paths.password, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 })
  const pwfile = `${paths.socket}/initdb.password`
  await writeFile(pwfile, await readFile(paths.password), { mode: 0o600 })
  if (paths.user !== undefined) await chown(pwfile, paths.user.uid, paths.user.gid)
  try {
    await run(
      join(paths.binaries, 'initdb'),
      ['-D', unfinished, '-U', DATABASE_USER, '--auth=scram-sha-256', `--pwfile=${pwfile}`].concat([
        '--encoding=UTF8',
        '--locale=C',
      ]),
      { ...paths.user, cwd: '/', env: {}, timeout: START_TIMEOUT_MS },
    )
  } finally {
    await rm(pwfile, { force: true })
  }
  await rename(unfinished, paths.cluster)
}

/** A server that outlived a killed API (no setpriv on this machine): it is ours by its folder, so it is asked to stop. */
async function stopOrphan(cluster: string, log: EmbeddedLog): Promise<void> {
  const pid = Number(
    (await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[0],
  )
  const deadline = performance.now() + STOP_TIMEOUT_MS
  for (let round = 0; pid > 0 && performance.now() < deadline; round++) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (!command.split('\0').includes(cluster)) return
    if (round === 0) log('warn', 'waiting for the database server of a killed API to stop', { pid })
    if (round === 20) process.kill(pid, 'SIGINT')
    await sleep(50)
  }
}

function spawnServer(paths: Paths, pdeathsig: boolean): ChildProcess {
  const server = [join(paths.binaries, 'postgres'), '-D', paths.cluster, '-k', paths.socket]
  const settings = {
    listen_addresses: '',
    unix_socket_permissions: '0700',
    shared_buffers: '16MB',
    io_method: 'sync',
    max_connections: '50',
    timezone: 'UTC',
    log_destination: 'stderr',
  }
  for (const [key, value] of Object.entries(settings)) server.push('-c', `${key}=${value}`)
  const [command, ...args] = pdeathsig ? ['setpriv', '--pdeathsig', 'INT', ...server] : server
  return spawn(command ?? '', args, {
    ...paths.user,
    cwd: '/',
    env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' },
    stdio: ['ignore', 'ignore', 'pipe'],
    // Its own process group: a Ctrl-C in the terminal is for us, and we stop it in order.
    detached: true,
  })
}

async function supervise(
  paths: Paths,
  connection: Connection,
  log: EmbeddedLog,
): Promise<EmbeddedPostgres> {
  const pdeathsig = await run('setpriv', ['--version']).then(
    () => process.platform === 'linux',
    () => false,
  )
  let child: ChildProcess | undefined
  let stopping = false
  let crashes = 0

  const start = () => {
    const started = spawnServer(paths, pdeathsig)
    child = started
    const lastLines: string[] = []
    started.stderr?.setEncoding('utf8').on('data', (text: string) => {
      // It came up: what happens to it later is no loop of failing starts.
      if (text.includes('ready to accept connections')) crashes = 0
      lastLines.push(...text.trimEnd().split('\n'))
      lastLines.splice(0, lastLines.length - 5)
    })
    let ended = false
    const onEnd = (reason: string) => {
      if (ended) return
      ended = true
      child = undefined
      if (stopping) return
      crashes++
      const delayMs = Math.min(RESTART_DELAY_MAX_MS, 50 * 2 ** Math.min(crashes, 7))
      log('warn', 'the embedded database stopped; starting it again', {
        reason,
        delayMs,
        lastLines,
      })
      setTimeout(() => stopping || start(), delayMs)
    }
    started.once('error', (error) => onEnd(error.message))
    started.once('exit', (code, signal) => onEnd(signal ?? `exit code ${code}`))
  }

  const stop = async () => {
    stopping = true
    const running = child
    if (running !== undefined) {
      const gone = new Promise<void>((done) => running.once('exit', () => done()))
      running.kill('SIGINT')
      const timeout = new AbortController()
      await Promise.race([
        gone,
        sleep(STOP_TIMEOUT_MS, undefined, { signal: timeout.signal }).catch(() => {}),
      ])
      timeout.abort()
    }
    if (paths.socketIsTemporary) await rm(paths.socket, { recursive: true, force: true })
  }

  start()
  try {
    await untilReady(connection)
  } catch (error) {
    await stop()
    throw error
  }
  return { connection, pid: () => child?.pid, stop }
}

async function untilReady(connection: Connection): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  for (;;) {
    const client = new pg.Client({ ...connection, connectionTimeoutMillis: 2_000 })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.end()
      return
    } catch (error) {
      await client.end().catch(() => {})
      if (performance.now() > deadline) {
        throw new Error('the embedded database did not start', { cause: error })
      }
      await sleep(25)
    }
  }
}
