// Handles of traffic that goes on in the guest while a test does other things.
import type { HoldStatus, LoadSnapshot } from '../protocol.ts'

type Ask = (op: string) => Promise<unknown>

/** Continuous requests at a rate. */
export class Load {
  private readonly ask: Ask

  constructor(ask: Ask) {
    this.ask = ask
  }

  /** Who answered, and which errors there were, since the last snapshot. */
  async snapshot(): Promise<LoadSnapshot> {
    return (await this.ask('loadSnapshot')) as LoadSnapshot
  }

  /** Ends it, waits for the requests under way, and gives the last snapshot. */
  async stop(): Promise<LoadSnapshot> {
    return (await this.ask('loadStop')) as LoadSnapshot
  }
}

/** An established connection on which the server sends a byte each 200 ms. */
export class Hold {
  /** What was known when it was opened: `answerer` says who serves it. */
  readonly first: HoldStatus
  private readonly ask: Ask

  constructor(ask: Ask, first: HoldStatus) {
    this.ask = ask
    this.first = first
  }

  /** `alive` = open, and data came within the last second. */
  async status(): Promise<HoldStatus> {
    return (await this.ask('holdStatus')) as HoldStatus
  }

  async close(): Promise<void> {
    await this.ask('holdClose')
  }
}
