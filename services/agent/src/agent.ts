/**
 * The agent without its timers: what to do when it starts, when a state arrives, and when it is time to look.
 * One kernel-touching thing at a time; loop.ts decides when, control-plane/ brings states, tests drive it by hand.
 */
import {
  REPORT_LIST_MAX,
  serviceKey,
  type FailedOp,
  type HostPart,
  type Op,
  type PathState,
  type Rejection,
} from '@lvs-fleet/contract'
import { holdReason } from './hold.ts'
import { KernelError, type Kernel } from './kernel/kernel.ts'
import { ledgerIsEmpty, type Ledger } from './ledger/ledger.ts'
import { openLedger, type LedgerBook } from './ledger/ledger-store.ts'
import { errnoOf, type Clock, type Disk, type Log } from './ports.ts'
import { createReconciler, type Reconciler } from './reconcile/reconciler.ts'
import { failedOp, Troubles } from './reconcile/troubles.ts'
import {
  noRound,
  noteDiskTrouble,
  Repairs,
  type RoundResult,
  type World,
} from './reconcile/world.ts'
import { takeSnapshot, type HostFacts, type Snapshot } from './report.ts'
import {
  FRESH_BOOT,
  isQuarantined,
  loadBootRecord,
  saveBootRecord,
  type BootRecord,
} from './state/boot-counter.ts'
import {
  bringIntoForce,
  changeTo,
  nothingInForce,
  type Candidate,
  type InForce,
  type Source,
  type StateChange,
  type Version,
} from './state/candidate.ts'
import { judgeState, quarantineRejection } from './state/judge.ts'
import { loadCounting } from './state/last-good.ts'
import type { StateStore } from './state/store.ts'
import { refuse, verifyDocument, type Trust, type Verdict } from './state/verify.ts'
import type { HealthSource } from './weigh/health.ts'
import { createMemoryFile, loadMemory, type MemoryFile } from './weigh/memory-file.ts'
import type { Memory } from './weigh/weigh.ts'
import { Weighing } from './weigh/weighing.ts'

/** Shards copied in one verify round. */
const MIRROR_MAX = 16

export type AgentDeps = {
  readonly kernel: Kernel
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  readonly facts: HostFacts
  /** Undefined for a plain file without an identity. */
  readonly trust: Trust | undefined
  readonly store: StateStore | undefined
  /** Repairs counted in earlier lives. */
  readonly driftCount: number
  /** Hears of each state that comes into force. */
  readonly onState?: (host: HostPart) => void
  /** Who checks real servers; undefined where nobody does. */
  readonly health?: HealthSource | undefined
}

export type Offer =
  | { readonly is: 'applied'; readonly round: RoundResult }
  | { readonly is: 'unchanged' }
  | { readonly is: 'rejected'; readonly rejection: Rejection }
  /** Shards are missing: ask for the whole document. */
  | { readonly is: 'incomplete'; readonly rejection: Rejection }
  /** An operator holds the agent; the state waits. */
  | { readonly is: 'paused' }

export type OfferOptions = {
  readonly source: Source
  readonly allowShrink?: boolean
  /** Take a state that is older than the one in force. */
  readonly force?: boolean
}

export class Agent {
  private readonly deps: AgentDeps
  private readonly world: World
  private readonly reconciler: Reconciler
  private readonly weighing: Weighing
  private readonly memory: MemoryFile
  private boot: BootRecord = FRESH_BOOT
  private applied: Version | null = null
  private rejected: Rejection | null = null
  /** Why an operator stopped this agent on the host, as last seen. */
  private held: string | null = null
  /** A state that came while held. */
  private paused: Candidate | undefined
  /** Everything was looked at once in this life; from then on changes are enough. */
  private isStarted = false
  private queue: Promise<unknown> = Promise.resolve()

  private constructor(deps: AgentDeps, book: LedgerBook, remembered: ReadonlyMap<string, Memory>) {
    this.deps = deps
    this.world = {
      kernel: deps.kernel,
      clock: deps.clock,
      log: deps.log,
      inForce: nothingInForce(),
      book,
      standing: new Map(),
      troubles: new Troubles(),
      repairs: new Repairs(deps.driftCount),
      drainConnections: new Map(),
      drainLooks: new Map(),
    }
    this.reconciler = createReconciler(this.world)
    const { inForce, clock } = this.world
    this.weighing = new Weighing({ inForce, clock, health: deps.health, remembered })
    this.memory = createMemoryFile(deps.disk, deps.facts.bootId)
  }

  /** Opens what is on disk; touches no kernel object. */
  static async open(deps: AgentDeps): Promise<Agent> {
    const book = await openLedger(deps.disk, await deps.kernel.scope())
    for (const alarm of book.alarms) deps.log('error', 'ledger damaged', { alarm })
    return new Agent(deps, book, await loadMemory(deps.disk, deps.facts.bootId))
  }

  get version(): Version | null {
    return this.world.inForce.version
  }

  /** What is in force and what is ours, for those who only look. */
  get inForce(): { readonly inForce: InForce; readonly ledger: Ledger } {
    return { inForce: this.world.inForce, ledger: this.world.book.ledger }
  }

  /** Paths whose service is ours and stands: without it a marked packet would not go anywhere special. */
  standingPaths(): PathState[] {
    const { inForce, book, standing, troubles } = this.world
    return inForce.host.paths.filter(({ mark, family }) => {
      const key = serviceKey({ protocol: 'fwmark', firewallMark: mark, family })
      return standing.has(key) && book.ledger.services.has(key) && !troubles.has(key)
    })
  }

  get hasDrains(): boolean {
    return this.world.book.ledger.drains.size > 0
  }

  get driftCount(): number {
    return this.world.repairs.count
  }

  get rejection(): Rejection | null {
    return this.rejected
  }

  /** The control plane answered a poll: what it says of others may be believed for a while. */
  noteContact(): void {
    this.weighing.noteContact()
  }

  /** The control plane has this snapshot: its changes need not be told again. */
  noteReported({ weightChanges }: Snapshot): void {
    if (weightChanges !== null) this.weighing.noteReported(weightChanges.count)
  }

  snapshot(): Snapshot {
    const { applied, rejected, held } = this
    const weighed = this.weighing.explained(REPORT_LIST_MAX)
    const weightChanges = this.weighing.changes
    return takeSnapshot(this.world, this.deps.facts, {
      applied,
      rejected,
      held,
      weighed,
      weightChanges,
    })
  }

  /** Brings the last-known-good state from disk into memory, after counting this start. */
  async load(): Promise<void> {
    const { store, disk, log } = this.deps
    if (store === undefined) return
    const { boot, loaded } = await loadCounting(store, await loadBootRecord(disk))
    this.boot = boot
    await this.tryDisk('count this start', () => saveBootRecord(disk, this.boot))
    for (const alarm of store.alarms) log('error', 'state on disk damaged', { alarm })
    const bad = this.boot.quarantined.at(-1)
    if (bad !== undefined) this.rejected = quarantineRejection(bad)
    if (loaded === undefined) return
    this.enforce(loaded.candidate, changeTo(this.world.inForce, loaded.candidate), 'disk')
  }

  /** Like `load`, but counts no start: for commands that an operator runs by hand. */
  async peek(): Promise<void> {
    const { store, disk } = this.deps
    if (store === undefined) return
    this.boot = await loadBootRecord(disk)
    const loaded = await store.load((version) => !isQuarantined(this.boot, version))
    if (loaded !== undefined) {
      this.enforce(loaded.candidate, changeTo(this.world.inForce, loaded.candidate), 'disk')
    }
  }

  /** What would be done for `candidate`, or for the state in force; this agent object is of no use afterwards. */
  async plan(
    candidate: Candidate | undefined,
    options: { readonly allowShrink: boolean },
  ): Promise<{ ops: Op[]; conflicts: FailedOp[]; refusal: Rejection | undefined }> {
    let refusal: Rejection | undefined
    if (candidate !== undefined) {
      const change = changeTo(this.world.inForce, candidate)
      refusal = this.judge(candidate, change, { ...options, source: 'file' })
      this.enforce(candidate, change, 'file')
    }
    if (this.world.inForce.source === 'none') return { ops: [], conflicts: [], refusal }
    this.reconciler.touchAll()
    return { ...(await this.reconciler.plan()), refusal }
  }

  /** Makes the kernel as the loaded state says. Needs no network. An operator's own command works while held. */
  async start(by: 'agent' | 'operator' = 'agent'): Promise<RoundResult> {
    return this.exclusive(async () => {
      if (this.world.inForce.source === 'none') return noRound()
      this.touchEverything()
      // A host that rebooted while held forwards nothing: there is nothing to hold still.
      const isBlank = ledgerIsEmpty(this.world.book.ledger)
      return this.settle('start', by === 'operator' || isBlank)
    })
  }

  /** Verifies a state document and brings it into force. */
  async offer(
    lines: AsyncIterable<string> | Iterable<string>,
    options: OfferOptions,
  ): Promise<Offer> {
    const verdict = await this.verify(lines, options)
    if (verdict.is === 'incomplete') return verdict
    return this.exclusive(async () => {
      if (verdict.is === 'rejected') return this.reject(verdict.rejection)
      if (verdict.is === 'same') {
        this.rejected = null
        return { is: 'unchanged' }
      }
      return this.accept(verdict.candidate, options)
    })
  }

  /** Records a refusal that `offer` could not make: a document that stayed incomplete. */
  reject(rejection: Rejection): Offer {
    this.rejected = rejection
    return { is: 'rejected', rejection }
  }

  /** Guard, disk, memory, kernel: in this order, so that a crash never goes back to an older state. */
  async accept(candidate: Candidate, options: OfferOptions): Promise<Offer> {
    const { inForce } = this.world
    const { version } = candidate
    if (version !== null && isQuarantined(this.boot, version) && options.force !== true) {
      return this.reject(quarantineRejection(version))
    }
    if ((await this.isHeld()) && options.source === 'control-plane') {
      this.paused = candidate
      return { is: 'paused' }
    }
    this.paused = undefined
    const change = changeTo(inForce, candidate)
    const refusal = this.judge(candidate, change, options)
    if (refusal !== undefined) return this.reject(refusal)
    await this.save(candidate)
    this.rejected = null
    const weighed = this.enforce(candidate, change, options.source)
    if (this.isStarted) this.reconciler.touch(weighed)
    else this.touchEverything()
    const round = await this.settle('state', options.source === 'file')
    return { is: 'applied', round }
  }

  /** Applies what waited while the agent was held, if it is not held any more. */
  async resume(): Promise<Offer | undefined> {
    const waiting = this.paused
    if (waiting === undefined) return undefined
    return this.exclusive(() => this.accept(waiting, { source: 'control-plane' }))
  }

  /** Looks for what changed behind our back and repairs it. */
  async verifyRound(): Promise<RoundResult> {
    return this.exclusive(() =>
      this.guarded(async () => {
        await this.mirror()
        if (this.reconciler.isSettled) return this.reconciler.verify()
        return this.settle('state')
      }),
    )
  }

  /** Takes up what health, ramps and the end of overrides have changed: a message for each weight. */
  async weighRound(): Promise<RoundResult> {
    if (!this.weighing.isDue) return noRound()
    return this.exclusive(() =>
      this.guarded(async () => {
        const change = this.weighing.round()
        if (change === undefined) return noRound()
        this.reconciler.touch(change)
        return this.settle('state')
      }),
    )
  }

  async networkRound(): Promise<RoundResult> {
    return this.exclusive(() => this.guarded(() => this.reconciler.verifyNetwork()))
  }

  async drainRound(): Promise<RoundResult> {
    return this.exclusive(() => this.guarded(() => this.reconciler.drain()))
  }

  /** This life was long enough, or ended well: the state in force did not kill it. */
  async markHarmless(): Promise<void> {
    if (this.deps.store === undefined) return
    this.boot = { ...this.boot, version: this.world.inForce.version, starts: 0 }
    await this.tryDisk('record a good life', () => saveBootRecord(this.deps.disk, this.boot))
  }

  /** A state that cannot be kept is not applied: after a restart the agent would go back behind it. */
  private async save(candidate: Candidate): Promise<void> {
    const { jws, manifest } = candidate
    if (jws === null || manifest === null || this.deps.store === undefined) return
    try {
      await this.deps.store.save({ ...candidate, jws, manifest })
    } catch (error) {
      const code = errnoOf(error)
      if (code !== undefined) noteDiskTrouble(this.world, 'keep the new state', code, error)
      throw error
    }
  }

  /** In small steps, so that the next new state need not copy what it shares with this one. */
  private async mirror(): Promise<void> {
    const { store } = this.deps
    if (store === undefined || this.world.inForce.version === null) return
    await this.tryDisk('copy the state', () => store.mirror(MIRROR_MAX))
  }

  private async tryDisk(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      const code = errnoOf(error)
      if (code === undefined) throw error
      noteDiskTrouble(this.world, what, code, error)
    }
  }

  /** Is this a state for this host? Changes nothing. */
  async verify(
    lines: AsyncIterable<string> | Iterable<string>,
    options: OfferOptions,
  ): Promise<Verdict> {
    const { trust, store } = this.deps
    if (trust === undefined) {
      const rejection = refuse(
        'bad-signature',
        'this host is not enrolled, so it trusts no controller key',
      )
      return { is: 'rejected', rejection }
    }
    return verifyDocument(lines, {
      ...trust,
      current: options.force === true ? null : this.world.inForce.version,
      held: this.world.inForce.shards,
      heldLists: this.world.inForce.lists,
      findShard: async (digest) => store?.findShard(digest),
    })
  }

  private judge(
    candidate: Candidate,
    change: StateChange,
    options: OfferOptions,
  ): Rejection | undefined {
    const { inForce, book } = this.world
    const allowShrink = options.allowShrink === true
    return judgeState({ inForce, candidate, change, carried: book.ledger.services, allowShrink })
  }

  /** Gives what changes in the kernel: the state with effective weights. */
  private enforce(candidate: Candidate, change: StateChange, source: Source): StateChange {
    const weighed = this.weighing.admit(change)
    bringIntoForce(this.world.inForce, candidate, weighed, source)
    this.deps.onState?.(change.host)
    return weighed
  }

  /** Does what is pending; what the kernel does not let us see or do stays pending. */
  private async settle(cause: 'start' | 'state', ignoreHold = false): Promise<RoundResult> {
    return this.guarded(async () => {
      const result = await this.reconciler.work(cause)
      await this.tryDisk('remember weights', () => this.memory.save(this.weighing.memory))
      if (this.reconciler.isSettled) this.applied = this.world.inForce.version
      return result
    }, ignoreHold)
  }

  private touchEverything(): void {
    this.reconciler.touchAll()
    this.isStarted = true
  }

  /** Runs a round unless held; a kernel that does not answer is a failed op, not the end. */
  private async guarded(
    round: () => Promise<RoundResult>,
    ignoreHold = false,
  ): Promise<RoundResult> {
    if ((await this.isHeld()) && !ignoreHold) return noRound()
    const now = this.world.clock.monotonicMs()
    try {
      const result = await round()
      this.world.troubles.drop('kernel')
      return result
    } catch (error) {
      if (!(error instanceof KernelError)) throw error
      this.world.troubles.record(
        'kernel',
        [failedOp(error.operation, error.code, error.message)],
        now,
      )
      this.deps.log('error', 'kernel did not answer', { error: error.message })
      this.reconciler.touchAll()
      return noRound()
    }
  }

  private async isHeld(): Promise<boolean> {
    this.held = (await holdReason(this.deps.disk)) ?? null
    return this.held !== null
  }

  private exclusive<T>(work: () => Promise<T>): Promise<T> {
    const run = this.queue.then(work, work)
    this.queue = run.catch(() => undefined)
    return run
  }
}
