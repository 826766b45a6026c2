/**
 * What to send next to find out whether a path carries packets of the computed size, and how large they may be if not.
 * Takes the size and what became of the datagrams sent so far; gives one more size, or the verdict. Pure: every
 * decision can be read off the list of trials.
 */
import type { DatagramFate } from '../kernel/path/path-sockets.ts'

export type Trial = { readonly bytes: number; readonly fate: DatagramFate }

export type Verdict =
  | { readonly is: 'fits' }
  /** `carries`: bytes of the largest packet that arrived. */
  | { readonly is: 'narrow'; readonly carries: number }
  /** Nothing came back, whatever its size: filtered, no VIP there, or the path changed meanwhile. */
  | { readonly is: 'unknown' }

export type Step =
  | { readonly is: 'send'; readonly bytes: number }
  | { readonly is: 'done'; readonly verdict: Verdict }

/** Fits every path that there is; with it the question is only whether anything comes back. */
const SMALL_BYTES = 128
/**
 * Silences that count as an answer. A packet may be lost by chance, and a real server owes no ICMP to anybody (Linux:
 * icmp_ratelimit); the size that decides about the alarm is given one more.
 */
const SILENCES_MAX = 3
const SILENCES_OF_BISECTION_MAX = 2

export function nextStep(mtu: number, trials: readonly Trial[]): Step {
  if (hasArrived(trials, mtu)) return done({ is: 'fits' })
  if (countOf(trials, mtu) === 0) return send(mtu)
  if (!hasArrived(trials, SMALL_BYTES)) {
    return countOf(trials, SMALL_BYTES) < SILENCES_MAX ? send(SMALL_BYTES) : done({ is: 'unknown' })
  }
  if (!isTooLarge(trials, mtu, SILENCES_MAX)) return send(mtu)
  const low = Math.max(...trials.filter(({ fate }) => fate === 'arrived').map(({ bytes }) => bytes))
  const tooLarge = trials
    .map(({ bytes }) => bytes)
    .filter((bytes) => isTooLarge(trials, bytes, SILENCES_OF_BISECTION_MAX))
  const high = Math.min(...tooLarge)
  if (low >= high) return done({ is: 'unknown' })
  if (high - low === 1) return done({ is: 'narrow', carries: low })
  return send(Math.floor((low + high) / 2))
}

function isTooLarge(trials: readonly Trial[], bytes: number, silencesMax: number): boolean {
  const own = trials.filter((trial) => trial.bytes === bytes)
  if (own.some(({ fate }) => fate === 'arrived')) return false
  return own.some(({ fate }) => fate === 'too-big') || own.length >= silencesMax
}

function hasArrived(trials: readonly Trial[], bytes: number): boolean {
  return trials.some((trial) => trial.bytes === bytes && trial.fate === 'arrived')
}

function countOf(trials: readonly Trial[], bytes: number): number {
  return trials.filter((trial) => trial.bytes === bytes).length
}

function send(bytes: number): Step {
  return { is: 'send', bytes }
}

function done(verdict: Verdict): Step {
  return { is: 'done', verdict }
}
