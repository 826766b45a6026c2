/**
 * keepalived as the peer: its start until the whole table is there, and its reload until all weights are new.
 * /proc/net/ip_vs says when; it is asked all the time, beside the program, as nothing else tells.
 */
import { writeFileSync } from 'node:fs'
import type { Lab } from '../test/lab/lab.ts'
import { inNamespace, timed } from './namespace.ts'
import { WIDTH, type Size } from './size.ts'
import { keepalivedText } from './tables.ts'

const OPTIONS = '-C -p /run/bench-ka.pid -c /run/bench-kac.pid -r /run/bench-kav.pid'
const BOUND_MS = 120_000

/** Shell words that end when so many destinations have `weight`. */
export function untilWeight(weight: number, destinations: number): string {
  return `until [ $(grep -cE "Route +${weight} " /proc/net/ip_vs) -ge ${destinations} ]; do sleep 0.02; done`
}

export function byKeepalived(
  lab: Lab,
  size: Size,
  first: number,
  second: number,
): Promise<{ start: number; reload: number }> {
  return inNamespace(lab, async (name) => {
    await lab.sh('root', 'mkdir -p /run/bench; rm -f /run/bench-ka*')
    const put = async (weight: number) => {
      writeFileSync(`${lab.dir}/ka.conf`, keepalivedText(size, weight))
      await lab.sh('root', `cp ${lab.guestDir}/ka.conf /run/bench/ka.conf`)
    }
    await put(first)
    try {
      const start = await timed(
        lab,
        name,
        `keepalived -n ${OPTIONS} -f /run/bench/ka.conf >/run/bench-ka.log 2>&1 & ${untilWeight(first, size * WIDTH)}`,
        BOUND_MS,
      )
      await put(second)
      const reload = await timed(
        lab,
        name,
        `kill -HUP $(cat /run/bench-ka.pid); ${untilWeight(second, size * WIDTH)}`,
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
