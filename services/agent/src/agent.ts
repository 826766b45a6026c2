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
import { KeptStates } from './kept-states.ts'
import type { Kernel } from './kernel/kernel.ts'
import { ledgerIsEmpty, type Ledger } from './ledger/ledger.ts'
import { openLedger, type LedgerBook } from './ledger/ledger-store.ts'
import type { Clock, Disk, Log } from './ports.ts'
import { createReconciler, type Reconciler } from './reconcile/reconciler.ts'
import { Troubles } from './reconcile/troubles.ts'
import { noRound, Repairs, tryDisk, type RoundResult, type World } from './reconcile/world.ts'
import { takeSnapshot, type HostFacts, type Snapshot } from './report.ts'
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
import type { StateStore } from './state/store.ts'
import { refuse, verifyDocument, type Trust, type Verdict } from './state/verify.ts'
import { Turns } from './turns.ts'
import type { HealthSource } from './weigh/health.ts'
import { createMemoryFile, loadMemory, type MemoryFile } from './weigh/memory-file.ts'
import type { Memory } from './weigh/weigh.ts'
import { Weighing } from './weigh/weighing.ts'

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
  private readonly kept: KeptStates
  private readonly turns: Turns
  private applied: Version | null = null
  private rejected: Rejection | null = null
  /** A state that came while held. */
  private paused: Candidate | undefined
  /** Everything was looked at once in this life; from then on changes are enough. */
  private isStarted = false

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
    const { world, reconciler } = this
    const { disk, store } = deps
    this.kept = new KeptStates({ world, disk, store })
    this.turns = new Turns({ world, disk, onSilence: () => reconciler.touchAll() })
    const { inForce, clock } = world
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

  /** Why an operator stopped this agent on the host, as last seen. */
  private get held(): string | null {
    return this.turns.held
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
    const candidate = await this.kept.load()
    const bad = this.kept.lastQuarantined
    if (bad !== undefined) this.rejected = quarantineRejection(bad)
    if (candidate !== undefined) this.takeFromDisk(candidate)
  }

  /** Like `load`, but counts no start: for commands that an operator runs by hand. */
  async peek(): Promise<void> {
    const candidate = await this.kept.peek()
    if (candidate !== undefined) this.takeFromDisk(candidate)
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
    return this.turns.exclusive(async () => {
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
    return this.turns.exclusive(async () => {
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
    if (version !== null && this.kept.isQuarantined(version) && options.force !== true) {
      return this.reject(quarantineRejection(version))
    }
    if ((await this.turns.isHeld()) && options.source === 'control-plane') {
      this.paused = candidate
      return { is: 'paused' }
    }
    this.paused = undefined
    const change = changeTo(inForce, candidate)
    const refusal = this.judge(candidate, change, options)
    if (refusal !== undefined) return this.reject(refusal)
    await this.kept.save(candidate)
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
    return this.turns.exclusive(() => this.accept(waiting, { source: 'control-plane' }))
  }

  /** Looks for what changed behind our back and repairs it. */
  async verifyRound(): Promise<RoundResult> {
    return this.turns.exclusive(() =>
      this.turns.guarded(async () => {
        await this.kept.mirror()
        if (this.reconciler.isSettled) return this.reconciler.verify()
        return this.settle('state')
      }),
    )
  }

  /** Takes up what health, ramps and the end of overrides have changed: a message for each weight. */
  async weighRound(): Promise<RoundResult> {
    if (!this.weighing.isDue) return noRound()
    return this.turns.exclusive(() =>
      this.turns.guarded(async () => {
        const change = this.weighing.round()
        if (change === undefined) return noRound()
        this.reconciler.touch(change)
        return this.settle('state')
      }),
    )
  }

  async networkRound(): Promise<RoundResult> {
    return this.turns.exclusive(() => this.turns.guarded(() => this.reconciler.verifyNetwork()))
  }

  async drainRound(): Promise<RoundResult> {
    return this.turns.exclusive(() => this.turns.guarded(() => this.reconciler.drain()))
  }

  /** This life was long enough, or ended well: the state in force did not kill it. */
  markHarmless(): Promise<void> {
    return this.kept.markHarmless()
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
      held: this.world.inForce.lists,
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

  private takeFromDisk(candidate: Candidate): void {
    this.enforce(candidate, changeTo(this.world.inForce, candidate), 'disk')
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
    return this.turns.guarded(async () => {
      const result = await this.reconciler.work(cause)
      await tryDisk(this.world, 'remember weights', () => this.memory.save(this.weighing.memory))
      if (this.reconciler.isSettled) this.applied = this.world.inForce.version
      return result
    }, ignoreHold)
  }

  private touchEverything(): void {
    this.reconciler.touchAll()
    this.isStarted = true
  }
}
