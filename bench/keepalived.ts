/**
 * keepalived as the peer: its start until the whole table is there, and its reload until all weights are new.
 */
import { writeFileSync } from 'node:fs'
import type { Lab } from '../test/lab/lab.ts'
import { untilWeight, watched } from './full-table.ts'
import { inNamespace, timed } from './namespace.ts'
import { WIDTH, type Size } from './size.ts'
import { keepalivedText } from './tables.ts'

const OPTIONS = '-C -p /run/bench-ka.pid -c /run/bench-kac.pid -r /run/bench-kav.pid'
const BOUND_MS = 120_000

type Weights = { readonly first: number; readonly second: number }

export function keepalivedStart(
  lab: Lab,
  size: Size,
  weights: Weights,
  repeats: number,
): Promise<number> {
  return watched(repeats, async (quietMs) => (await run(lab, size, weights, quietMs, 0)).start)
}

export function keepalivedReload(
  lab: Lab,
  size: Size,
  weights: Weights,
  repeats: number,
): Promise<number> {
  return watched(repeats, async (quietMs) => (await run(lab, size, weights, 0, quietMs)).reload)
}

function run(
  lab: Lab,
  size: Size,
  { first, second }: Weights,
  startQuietMs: number,
  reloadQuietMs: number,
): Promise<{ start: number; reload: number }> {
  return inNamespace(lab, async (name) => {
    await lab.sh('root', 'mkdir -p /run/bench; rm -f /run/bench-ka*')
    const put = async (weight: number) => {
      writeFileSync(`${lab.dir}/ka.conf`, keepalivedText(size, weight))
      await lab.sh('root', `cp ${lab.guestDir}/ka.conf /run/bench/ka.conf`)
    }
    const until = (weight: number, quietMs: number) => untilWeight(weight, size * WIDTH, quietMs)
    await put(first)
    try {
      const start = await timed(
        lab,
        name,
        `keepalived -n ${OPTIONS} -f /run/bench/ka.conf >/run/bench-ka.log 2>&1 & ${until(first, startQuietMs)}`,
        BOUND_MS,
      )
      await put(second)
      const reload = await timed(
        lab,
        name,
        `kill -HUP $(cat /run/bench-ka.pid); ${until(second, reloadQuietMs)}`,
        BOUND_MS,
      )
      if (start === undefined || reload === undefined) {
        throw new Error(`keepalived was not done within ${BOUND_MS} ms`)
      }
      return { start, reload }
    } finally {
      const pids = '$(cat /run/bench-ka.pid /run/bench-kac.pid)'
      await lab.run('root', `kill ${pids}; sleep 1; kill -9 ${pids}`)
    }
  })
}
