/**
 * What is known of each path, and which one is to be measured next. Takes paths, verdicts and the time; holds nothing
 * of paths that are gone. Pure but for its own map: who measures, and when it is, are the caller's.
 */
import { pathKey, REPORT_LIST_MAX, type PathReport, type PathState } from '@lvs-fleet/contract'
import type { Verdict } from './next-step.ts'

/** A path with another size or another VIP is another question. */
type Entry = {
  readonly question: string
  verdict: Verdict | undefined
  /** Monotonic clock, ms: when it is measured; `recheckMs`: when one datagram asks whether it is mended, Infinity = never. */
  dueMs: number
  recheckMs: number
}

/** Whose turn it is, and for what. */
export type Turn = { readonly path: PathState; readonly isRecheck: boolean }

export class PathResults {
  private readonly entries = new Map<string, Entry>()

  /** New paths are due at what `firstMs` says, for each of them; those that are not in `paths` are forgotten. */
  follow(paths: readonly PathState[], firstMs: () => number): void {
    const keys = new Set(paths.map(pathKey))
    for (const key of this.entries.keys()) if (!keys.has(key)) this.entries.delete(key)
    for (const path of paths) {
      const question = `${path.mtu} ${path.vip} ${path.source}`
      const entry = this.entries.get(pathKey(path))
      if (entry?.question === question) continue
      this.entries.set(pathKey(path), {
        question,
        verdict: undefined,
        dueMs: firstMs(),
        recheckMs: Infinity,
      })
    }
  }

  /** The path that waits longest. */
  next(paths: readonly PathState[], nowMs: number): Turn | undefined {
    let first: Turn | undefined
    let firstMs = Infinity
    for (const path of paths) {
      const entry = this.entries.get(pathKey(path))
      if (entry === undefined) continue
      const turnMs = Math.min(entry.dueMs, entry.recheckMs)
      if (turnMs > nowMs || turnMs >= firstMs) continue
      first = { path, isRecheck: entry.recheckMs < entry.dueMs }
      firstMs = turnMs
    }
    return first
  }

  /** `recheckMs` counts for a narrow path only: there is nothing to mend in another. */
  set(
    path: PathState,
    verdict: Verdict,
    { dueMs, recheckMs }: { readonly dueMs: number; readonly recheckMs: number },
  ): void {
    const entry = this.entries.get(pathKey(path))
    if (entry === undefined) return
    entry.verdict = verdict
    entry.dueMs = dueMs
    entry.recheckMs = verdict.is === 'narrow' ? recheckMs : Infinity
  }

  /** What is known stands. */
  recheckAgain(path: PathState, recheckMs: number): void {
    const entry = this.entries.get(pathKey(path))
    if (entry !== undefined) entry.recheckMs = recheckMs
  }

  /** Null before any path was measured. */
  report(paths: readonly PathState[]): PathReport | null {
    const verdicts = paths.flatMap((path) => {
      const verdict = this.entries.get(pathKey(path))?.verdict
      return verdict === undefined ? [] : [{ path, verdict }]
    })
    if (verdicts.length === 0) return null
    const narrow = verdicts.flatMap(({ path, verdict }) =>
      verdict.is === 'narrow' ? [{ path, carries: verdict.carries }] : [],
    )
    return {
      narrow: narrow.slice(0, REPORT_LIST_MAX).map(({ path, carries }) => ({
        realServer: path.realServer,
        path: pathKey(path),
        vip: path.vip,
        mtu: path.mtu,
        carries,
      })),
      narrowCount: narrow.length,
      fittingCount: verdicts.filter(({ verdict }) => verdict.is === 'fits').length,
      unknownCount: verdicts.filter(({ verdict }) => verdict.is === 'unknown').length,
    }
  }
}
