/**
 * Hears of other processes' writes. Takes connection settings and a callback; keeps a LISTEN on its own
 * client (a pool or a transaction-mode proxy would lose it), asks every few seconds anyway, and connects
 * again when the connection breaks. The callback reads what changed; it is never called twice at once.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { CHANNEL } from './controller-store.ts'
import { clientConfig, type Connection } from './database.ts'
import { EVENTS_CHANNEL } from './event-store.ts'

const PROBE_MS = 5_000
const RECONNECT_MAX_MS = 5_000

export type Listener = { readonly isConnected: () => boolean; readonly close: () => Promise<void> }

export function startListener(
  connection: Connection,
  onChange: () => Promise<void>,
  onError: (error: unknown) => void,
  /** There are new events. Far more frequent than writes of intent, so it is told apart; with every change as well. */
  onEvents: () => Promise<void> = () => Promise.resolve(),
): Listener {
  const stop = new AbortController()
  let connected = false
  let poke: () => void = () => {}

  const hear = async () => {
    await onEvents()
    await onChange()
  }

  const session = async () => {
    const client = new pg.Client(clientConfig(connection))
    const broken = new Promise<never>((_, reject) => {
      client.on('error', reject)
      client.on('end', () => reject(new Error('the connection ended')))
    })
    broken.catch(() => {})
    try {
      await client.connect()
      await client.query(`listen ${CHANNEL}`)
      await client.query(`listen ${EVENTS_CHANNEL}`)
      let pending = true
      client.on('notification', ({ channel }) => {
        if (channel === EVENTS_CHANNEL) return void onEvents().catch(onError)
        pending = true
        poke()
      })
      connected = true
      while (!stop.signal.aborted) {
        if (pending) {
          pending = false
          await hear()
        } else {
          await Promise.race([broken, waitForPoke()])
          // Nothing heard for a while: ask, in case a notification or the connection was lost.
          if (!pending && !stop.signal.aborted) await client.query('select 1').then(hear)
        }
      }
    } finally {
      connected = false
      await client.end().catch(() => {})
    }
  }

  const waitForPoke = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, PROBE_MS * (0.8 + 0.4 * Math.random()))
      poke = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  const loop = async () => {
    for (let failures = 0; !stop.signal.aborted; failures++) {
      const startedAt = performance.now()
      try {
        await session()
      } catch (error) {
        if (stop.signal.aborted) return
        onError(error)
      }
      if (performance.now() - startedAt > 30_000) failures = 0
      const delayMs =
        Math.min(RECONNECT_MAX_MS, 50 * 2 ** Math.min(failures, 7)) * (0.5 + Math.random())
      await sleep(delayMs, undefined, { signal: stop.signal }).catch(() => {})
    }
  }

  const done = loop()
  return {
    isConnected: () => connected,
    close: async () => {
      stop.abort()
      poke()
      await done
    },
  }
}
