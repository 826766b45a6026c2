/** What is due next, of many: a binary heap. One timer serves them all. */
export class DueQueue<T> {
  readonly #items: { readonly dueMs: number; readonly item: T }[] = []

  get nextMs(): number | undefined {
    return this.#items[0]?.dueMs
  }

  push(dueMs: number, item: T): void {
    const items = this.#items
    const added = { dueMs, item }
    let at = items.length
    items.push(added)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = items[parent]
      if (above === undefined || above.dueMs <= dueMs) break
      items[at] = above
      at = parent
    }
    items[at] = added
  }

  /** The earliest that is due by now, taken out. */
  take(nowMs: number): T | undefined {
    const items = this.#items
    const first = items[0]
    if (first === undefined || first.dueMs > nowMs) return undefined
    const last = items.pop()
    if (last !== undefined && items.length > 0) this.#sink(last)
    return first.item
  }

  #sink(moved: { readonly dueMs: number; readonly item: T }): void {
    const items = this.#items
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      const [a, b] = [items[left], items[left + 1]]
      if (a === undefined) break
      const [child, below] = b !== undefined && b.dueMs < a.dueMs ? [left + 1, b] : [left, a]
      if (below.dueMs >= moved.dueMs) break
      items[at] = below
      at = child
    }
    items[at] = moved
  }
}
