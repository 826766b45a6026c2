/** The API on Node: settings → deps → listen. Stops in order on SIGTERM and SIGINT. */
import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { pino } from 'pino'
import { assemble } from './assemble.ts'
import { parseEnv, readEnv, type Settings } from './env.ts'
import { resolveSecrets } from './secrets/resolve-env.ts'
import { createApp } from './http/app.ts'
import { serveMetrics, type MetricsServer } from './metrics-server.ts'
import type { Log } from './verbs/deps.ts'
import { createMetricsReader, type MetricsReader } from './verbs/read-metrics.ts'

const DRAIN_MS = 10_000
const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])

const HELP = `The API of LVS Fleet. It takes no arguments: settings are environment variables.

  LVSFLEET_LISTEN   HOST:PORT, default 127.0.0.1:8080
  LVSFLEET_DATA     folder of the embedded database and the keys, default .lvsfleet
  DATABASE_URL      a Postgres to use instead of the embedded one

  LVSFLEET_LISTEN=127.0.0.1:9090 npm start

All of them: services/api/src/env.ts.
`

async function main([word]: readonly string[]): Promise<void> {
  if (word === '--help' || word === '-h') {
    process.stdout.write(HELP)
    return
  }
  if (word !== undefined) {
    process.exitCode = 2
    process.stderr.write(
      `lvsfleet API takes no argument such as ${JSON.stringify(word)}: see --help\n`,
    )
    return
  }
  const settings = parseEnv(await resolveSecrets(readEnv()))
  const log = pino({ level: settings.logLevel }, pino.destination({ fd: 2, sync: true }))
  const { deps, firstKey, databaseIs, close } = await assemble(settings, log)
  const app = createApp(deps)
  const server = createServer(
    // Limits on what arrives; answers may take as long as a held poll does.
    {
      keepAliveTimeout: 75_000,
      headersTimeout: 20_000,
      requestTimeout: 60_000,
      maxHeaderSize: 16 * 1024,
    },
    getRequestListener(app.fetch),
  )
  try {
    await listen(server, settings)
  } catch (error) {
    await close()
    throw error
  }
  const metrics = createMetricsReader(deps)
  const metricsServer = await openMetrics(settings, metrics, log)
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : settings.listen.port
  const shown = `http://${settings.listen.host.includes(':') ? `[${settings.listen.host}]` : settings.listen.host}:${port}`
  const lines = [
    `lvsfleet API listens on ${shown}`,
    `database: ${databaseIs}; files: ${settings.dataDir}`,
    ...(metricsServer === undefined ? [] : [`metrics: ${metricsServer.url}`]),
  ]
  if (firstKey !== undefined) {
    lines.push(
      '',
      `first API key (admin), shown only now: ${firstKey.secret}`,
      `it is also in ${firstKey.file}, readable by this user only: keep it elsewhere and remove the file`,
      '',
    )
  }
  // For the person at the terminal; the log goes to stderr. One write, so that whoever reads it gets it whole.
  process.stdout.write(`${lines.join('\n')}\n`)
  if (!LOOPBACK.has(settings.listen.host)) {
    log.warn(
      { listen: settings.listen.host },
      'this is plain HTTP beyond this machine: put TLS in front of it',
    )
  }

  let stopping = false
  const stop = (signal: string) => {
    if (stopping) return
    stopping = true
    log.info({ signal }, 'stopping')
    deps.live.waiters.close()
    metrics.close()
    void metricsServer?.close()
    const force = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
    // A connection that was answering is idle a moment later, and would be kept alive for long.
    const sweep = setInterval(() => server.closeIdleConnections(), 50)
    server.close(() => {
      clearTimeout(force)
      clearInterval(sweep)
      close().then(
        () => log.info({}, 'stopped'),
        (error: unknown) => {
          log.error({ err: error }, 'did not stop in order')
          process.exitCode = 1
        },
      )
    })
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

/** A port that is taken costs the metrics, never the API: several processes on one machine are no fault. */
async function openMetrics(
  { metrics: at }: Settings,
  { read }: MetricsReader,
  log: Log,
): Promise<MetricsServer | undefined> {
  if (at === undefined) return undefined
  try {
    const server = await serveMetrics(at, read)
    if (!LOOPBACK.has(at.host)) log.warn({ metrics: server.url }, 'metrics need no credential')
    return server
  } catch (error) {
    log.warn({ ...at, err: error }, 'no metrics: their port cannot be listened on')
    return undefined
  }
}

function listen(server: ReturnType<typeof createServer>, settings: Settings): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(settings.listen.port, settings.listen.host, () => resolve())
  })
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(
    `lvsfleet API cannot start: ${error instanceof Error ? error.message : String(error)}\n`,
  )
  if (error instanceof Error && error.cause instanceof Error)
    process.stderr.write(`  because: ${error.cause.message}\n`)
  process.exitCode = 1
}
