/**
 * What is known of each path, and which one is to be measured next. Takes paths, verdicts and the time; holds nothing
 * of paths that are gone. Pure but for its own map: who measures, and when it is, are the caller's.
 */
import { pathKey, REPORT_LIST_MAX, type PathReport, type PathState } from '@lvs-fleet/contract'
import type { Verdict } from './next-step.ts'

/** A path with another size or another VIP is another question. */
type Entry = { readonly question: string; verdict: Verdict | undefined; dueMs: number }

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
      this.entries.set(pathKey(path), { question, verdict: undefined, dueMs: firstMs() })
    }
  }

  /** The path that waits longest. */
  next(paths: readonly PathState[], nowMs: number): PathState | undefined {
    let first: PathState | undefined
    let firstMs = Infinity
    for (const path of paths) {
      const dueMs = this.entries.get(pathKey(path))?.dueMs ?? Infinity
      if (dueMs > nowMs || dueMs >= firstMs) continue
      first = path
      firstMs = dueMs
    }
    return first
  }

  set(path: PathState, verdict: Verdict, dueMs: number): void {
    const entry = this.entries.get(pathKey(path))
    if (entry === undefined) return
    entry.verdict = verdict
    entry.dueMs = dueMs
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
