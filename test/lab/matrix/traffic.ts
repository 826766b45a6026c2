/**
 * Sends what one cell is about: small requests to each scheduler's port, a megabyte down, a megabyte up, over TCP
 * or SCTP; for UDP a datagram and its answer. Takes a cell; gives the outcome, with a fault for every answer that is not the one
 * wanted, and how many connections the director must have counted.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Lab } from '../lab.ts'
import type { Histogram } from '../protocol.ts'
import { type Cell, FIRST_PORT, urlOf } from './cells.ts'
import { findHost } from '../topology.ts'
import { CLIENT, DIRECTOR } from './topology.ts'

const MEGABYTE = 1_000_000
const SMALL_TIMEOUT_MS = 4_000
const LARGE_TIMEOUT_MS = 30_000

/** Where the program runs that answers for a real server of the intent. */
export function hostOf(server: string): string {
  return server.startsWith('local') ? DIRECTOR : server
}

export async function sendTraffic(lab: Lab, cell: Cell): Promise<string[]> {
  return cell.protocol === 'udp' ? datagrams(lab, cell) : requests(lab, cell)
}

async function requests(lab: Lab, cell: Cell): Promise<string[]> {
  const { vip, listeners } = cell
  const carrier = cell.protocol === 'sctp' ? sctpOf(lab, cell) : {}
  const small = listeners.map(async ({ port, scheduler }) => {
    const ask = { url: urlOf(vip, port), timeoutMs: SMALL_TIMEOUT_MS, ...carrier }
    const answers = await lab.get(CLIENT, ask)
    return unless(answers, answerOf(lab, cell, port), scheduler)
  })
  const first = FIRST_PORT.tcp
  const large = async (what: string, path: string, upload: number, suffix: string) => {
    const ask = { url: urlOf(vip, first, path), upload, timeoutMs: LARGE_TIMEOUT_MS, ...carrier }
    return unless(await lab.get(CLIENT, ask), `${answerOf(lab, cell, first)} ${suffix}`, what)
  }
  const down = large('a megabyte down', `/big=${MEGABYTE}`, 0, `body=${MEGABYTE}`)
  const up = large('a megabyte up', '/', MEGABYTE, `got=${MEGABYTE}`)
  return (await Promise.all([...small, down, up])).flat()
}

async function datagrams(lab: Lab, cell: Cell): Promise<string[]> {
  const answered = cell.listeners.map(async ({ port, scheduler }) => {
    const ask = { address: cell.vip, port, timeoutMs: SMALL_TIMEOUT_MS }
    return unless(await lab.udp(CLIENT, ask), answerOf(lab, cell, port), scheduler)
  })
  return (await Promise.all(answered)).flat()
}

/** From one address: an endpoint with more would be asked past the director. */
function sctpOf(lab: Lab, cell: Cell) {
  return { protocol: 'sctp' as const, src: clientOf(lab, cell) }
}

/** The real server's own words: it, its port, and the client as it sees it. No method here hides the client. */
function answerOf(lab: Lab, cell: Cell, port: number): string {
  return `${hostOf(cell.server)}:${port} from=${clientOf(lab, cell)}`
}

function clientOf({ topology }: Lab, { vipFamily }: Cell): string {
  return findHost(topology, CLIENT)[vipFamily]
}

function unless(answers: Histogram, wanted: string, what: string): string[] {
  if (isDeepStrictEqual(answers, { [wanted]: 1 })) return []
  return [`${what}: ${JSON.stringify(answers)} instead of ${wanted}`]
}
