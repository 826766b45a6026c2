/**
 * What outlives the agent's process: the last good state in two copies, and how the starts on it ended. A disk that takes
 * nothing is a trouble to report; only a new state that cannot be kept is refused.
 */
import { errnoOf, type Disk } from './ports.ts'
import { noteDiskTrouble, tryDisk, type World } from './reconcile/world.ts'
import {
  FRESH_BOOT,
  isQuarantined,
  loadBootRecord,
  saveBootRecord,
  type BootRecord,
} from './state/boot-counter.ts'
import type { Candidate, Version } from './state/candidate.ts'
import { loadCounting } from './state/last-good.ts'
import type { StateStore } from './state/store.ts'

/** Shards copied in one verify round. */
const MIRROR_MAX = 16

type KeptStatesDeps = {
  readonly world: World
  readonly disk: Disk
  /** Undefined for a plain file without an identity: nothing is kept then. */
  readonly store: StateStore | undefined
}

export class KeptStates {
  private readonly deps: KeptStatesDeps
  private boot: BootRecord = FRESH_BOOT

  constructor(deps: KeptStatesDeps) {
    this.deps = deps
  }

  /** The newest usable state, after counting this start. */
  async load(): Promise<Candidate | undefined> {
    const { world, disk, store } = this.deps
    if (store === undefined) return undefined
    const { boot, loaded } = await loadCounting(store, await loadBootRecord(disk))
    this.boot = boot
    await tryDisk(world, 'count this start', () => saveBootRecord(disk, boot))
    for (const alarm of store.alarms) world.log('error', 'state on disk damaged', { alarm })
    return loaded?.candidate
  }

  /** Like `load`, but counts no start. */
  async peek(): Promise<Candidate | undefined> {
    const { disk, store } = this.deps
    if (store === undefined) return undefined
    this.boot = await loadBootRecord(disk)
    return (await store.load((version) => !this.isQuarantined(version)))?.candidate
  }

  isQuarantined(version: Version): boolean {
    return isQuarantined(this.boot, version)
  }

  get lastQuarantined(): Version | undefined {
    return this.boot.quarantined.at(-1)
  }

  /** A state that cannot be kept is not applied: after a restart the agent would go back behind it. */
  async save(candidate: Candidate): Promise<void> {
    const { world, store } = this.deps
    const { jws, manifest } = candidate
    if (jws === null || manifest === null || store === undefined) return
    try {
      await store.save({ ...candidate, jws, manifest })
    } catch (error) {
      const code = errnoOf(error)
      if (code !== undefined) noteDiskTrouble(world, 'keep the new state', code, error)
      throw error
    }
  }

  /** In small steps, so that the next new state need not copy what it shares with this one. */
  async mirror(): Promise<void> {
    const { world, store } = this.deps
    if (store === undefined || world.inForce.version === null) return
    await tryDisk(world, 'copy the state', () => store.mirror(MIRROR_MAX))
  }

  /** This life was long enough, or ended well: the state in force did not kill it. */
  async markHarmless(): Promise<void> {
    const { world, disk, store } = this.deps
    if (store === undefined) return
    const boot = { ...this.boot, version: world.inForce.version, starts: 0 }
    this.boot = boot
    await tryDisk(world, 'record a good life', () => saveBootRecord(disk, boot))
  }
}
