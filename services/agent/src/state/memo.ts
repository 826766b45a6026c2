/** Values by the text that says them; bounded, and emptied when full. */
export class Memo<T> {
  private readonly known = new Map<string, T>()
  private readonly max: number

  constructor(max: number) {
    this.max = max
  }

  get(text: string): T | undefined {
    return this.known.get(text)
  }

  /** `text` may be a slice: what is kept is a copy, so that the whole it was cut from can go. */
  set(text: string, value: T): void {
    if (this.known.size >= this.max) this.known.clear()
    this.known.set(Buffer.from(text, 'utf8').toString('utf8'), value)
  }
}
