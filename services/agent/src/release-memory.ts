/**
 * When the heap is collected. V8 would wait until it is as large as a first state of thousands of virtual services makes
 * it, which is how Node is started (AGENT_NODE_FLAGS): a director would hold for ever what it needed once.
 */

/** Left behind since the last collection: worth one of some 10 ms. */
const GARBAGE_BYTES = 8 * 1024 * 1024
/** In proportion to what lives, as a collection takes longer then. */
const GARBAGE_OF_LIVE = 1 / 2
/** Ops of one round after which pages are given back to the system as well, which takes as long again. */
const LARGE_ROUND_OPS = 5_000

export type Heap = {
  usedBytes(): number
  /** All of it, at once; `hard` gives back whatever can be. */
  collect(hard: boolean): void
}

/** Needs Node's --expose-gc; collects nothing without it. */
export const v8Heap: Heap = {
  // Not process.memoryUsage, which reads a file for what it says beside it.
  usedBytes: () => process.getBuiltinModule('node:v8').getHeapStatistics().used_heap_size,
  collect: (hard) => {
    globalThis.gc?.({
      type: 'major',
      execution: 'sync',
      flavor: hard ? 'last-resort' : 'regular',
    })
  },
}

/** Called after each round, whatever it did; collects when that is worth it. */
export function createMemoryRelease(heap: Heap): (round?: { readonly ops: number }) => void {
  let liveBytes = 0
  return (round) => {
    const isLarge = round !== undefined && round.ops >= LARGE_ROUND_OPS
    const garbage = heap.usedBytes() - liveBytes
    if (!isLarge && garbage < Math.max(GARBAGE_BYTES, liveBytes * GARBAGE_OF_LIVE)) return
    heap.collect(isLarge)
    liveBytes = heap.usedBytes()
  }
}
