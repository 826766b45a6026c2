/**
 * How much of its stack's speed the API keeps for an agent that asks and hears "nothing new", and what the
 * database hears of it. The API and a bare Hono route take turns under the same load.
 */
import { Child } from '../child.ts'
import { figure, median, type Figure } from '../figure.ts'
import type { LoadOrder, LoadResult } from '../native/load.ts'
import type { Row } from '../row.ts'

const CONNECTIONS = 64
const TURN_MS = 3_000
const TURNS = 5
const SHARE_TARGET = 0.6

type Ready = Pick<LoadOrder, 'port' | 'path' | 'headers'>

export const pollRow: Row = {
  name: 'poll',
  summary: 'idle polls a second beside a bare route of the same stack, and their database queries',
  inGuest: false,
  measure,
}

async function measure(): Promise<readonly Figure[]> {
  using api = new Child(new URL('../native/api.ts', import.meta.url))
  using bare = new Child(new URL('../native/bare.ts', import.meta.url))
  using load = new Child(new URL('../native/load.ts', import.meta.url))
  const [apiReady, bareReady] = (await Promise.all([api.ask(), bare.ask()])) as [Ready, Ready]
  const turn = async (ready: Ready, ms: number): Promise<number> => {
    const result = (await load.ask({ ...ready, connections: CONNECTIONS, ms })) as LoadResult
    if (result.others > 0) throw new Error(`${result.others} answers were not 304`)
    return (result.requests / result.ms) * 1_000
  }
  const queries = async () => ((await api.ask('queries')) as { queries: number }).queries
  for (const ready of [apiReady, bareReady]) await turn(ready, TURN_MS)
  const asked: number[] = []
  const shares: number[] = []
  const apiRates: number[] = []
  const bareRates: number[] = []
  for (let i = 0; i < TURNS; i++) {
    const before = await queries()
    const apiRate = await turn(apiReady, TURN_MS)
    asked.push((await queries()) - before)
    const bareRate = await turn(bareReady, TURN_MS)
    apiRates.push(apiRate)
    bareRates.push(bareRate)
    shares.push(apiRate / bareRate)
  }
  const share = median(shares)
  const apiRate = median(apiRates)
  const bareRate = median(bareRates)
  return [
    figure('idle poll, native, 64 connections', `${Math.round(apiRate)} a second`, {
      beside: `bare Hono route ${Math.round(bareRate)} a second: ${Math.round(share * 100)} %`,
      target: '>= 60 % of the bare route',
      met: share >= SHARE_TARGET,
      numbers: { pollsPerSecond: apiRate, barePerSecond: bareRate, share },
    }),
    // The median, since housekeeping asks a few once a minute.
    figure(
      `database queries of ${Math.round((apiRate * TURN_MS) / 1_000)} such polls`,
      String(median(asked)),
      {
        target: '0',
        met: median(asked) === 0,
        numbers: { queries: median(asked) },
      },
    ),
  ]
}
