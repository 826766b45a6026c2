/** Texts by key, least recently used out first, bounded by their bytes: shards that many agents ask for at once. */
export class ByteCache {
  readonly #texts = new Map<string, string>()
  readonly #bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get(key: string): string | undefined {
    const text = this.#texts.get(key)
    if (text === undefined) return undefined
    this.#texts.delete(key)
    this.#texts.set(key, text)
    return text
  }

  set(key: string, text: string): void {
    const old = this.#texts.get(key)
    if (old !== undefined) this.#bytes -= old.length
    this.#texts.delete(key)
    this.#texts.set(key, text)
    this.#bytes += text.length
    for (const [oldest, dropped] of this.#texts) {
      if (this.#bytes <= this.#bytesMax) return
      this.#texts.delete(oldest)
      this.#bytes -= dropped.length
    }
  }
}
