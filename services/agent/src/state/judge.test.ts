import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  STATE_FORMAT,
  serviceKey,
  type HostState,
  type Manifest,
  type Rejection,
  type ServiceState,
} from '@lvs-fleet/contract'
import { destination, hostState, service } from '../../../../test/fakes/states.ts'
import {
  bringIntoForce,
  changeTo,
  heldList,
  nothingInForce,
  plainCandidate,
  shardsOf,
  type Candidate,
  type InForce,
} from './candidate.ts'
import { judgeState } from './judge.ts'

const state = (...addresses: readonly string[]): HostState =>
  hostState(addresses.map((address) => service(address, [destination('10.2.0.1')])))

const FOUR = state('10.1.0.1', '10.1.0.2', '10.1.0.3', '10.1.0.4')

function signed(from: HostState, fields: Partial<Manifest> = {}): Candidate {
  const manifest: Manifest = {
    format: STATE_FORMAT,
    host: { id: 'h', name: 'dir-a', role: 'director', site: 'a' },
    epoch: 1,
    generation: 7,
    shrinkAllowedGeneration: 0,
    counts: { services: from.services.length, destinations: 0 },
    lists: [],
    digest: '0'.repeat(64),
    ...fields,
  }
  return { ...withDigests(plainCandidate(from)), manifest, version: manifest, jws: '' }
}

let made = 0

/** Shards count as changed where their digests differ. */
function withDigests(candidate: Candidate): Candidate {
  const digest = `made ${++made}`
  const shards = [...shardsOf(candidate.lists)].map((each) => ({
    ...each,
    digest: `${digest} ${each.name}`,
  }))
  return { ...candidate, lists: new Map([[digest, heldList('', shards)]]) }
}

function inForceOf(from: HostState | undefined): InForce {
  const inForce = nothingInForce()
  if (from === undefined) return inForce
  const candidate = signed(from, { generation: 6 })
  bringIntoForce(inForce, candidate, changeTo(inForce, candidate), 'disk')
  return inForce
}

function twice(): HostState {
  const [first] = FOUR.services as [ServiceState]
  return hostState([first, first])
}

type Row = {
  readonly what: string
  readonly from?: HostState
  readonly to: Candidate
  readonly carried?: HostState
  readonly allowShrink?: boolean
  readonly want: Rejection['code'] | undefined
  readonly detail?: RegExp
}

const ROWS: readonly Row[] = [
  { what: 'the first state of a host that carries nothing', to: signed(FOUR), want: undefined },
  { what: 'the same again', from: FOUR, to: signed(FOUR), want: undefined },
  {
    what: 'a quarter goes',
    from: FOUR,
    to: signed(state('10.1.0.1', '10.1.0.2', '10.1.0.3')),
    want: undefined,
  },
  {
    what: 'half goes',
    from: FOUR,
    to: signed(state('10.1.0.1', '10.1.0.2')),
    want: 'shrink-held',
    detail: /2 of 4 virtual services would go/,
  },
  {
    what: 'half goes, and an operator allowed this generation',
    from: FOUR,
    to: signed(state('10.1.0.1', '10.1.0.2'), { shrinkAllowedGeneration: 7 }),
    want: undefined,
  },
  {
    what: 'half goes, and an operator allowed one long ago',
    from: FOUR,
    to: signed(state('10.1.0.1', '10.1.0.2'), { shrinkAllowedGeneration: 6 }),
    want: 'shrink-held',
  },
  {
    what: 'half goes, and the host itself allows it',
    from: FOUR,
    to: signed(state('10.1.0.1', '10.1.0.2')),
    allowShrink: true,
    want: undefined,
  },
  {
    what: 'half goes by a plain file',
    from: FOUR,
    to: plainCandidate(state('10.1.0.1', '10.1.0.2')),
    want: 'shrink-held',
  },
  {
    what: 'nothing is in force, and half of what the ledger knows would go',
    to: signed(state('10.1.0.1', '10.1.0.2')),
    carried: FOUR,
    want: 'shrink-held',
    detail: /2 of 4 virtual services that this agent made would go/,
  },
  {
    what: 'nothing is in force, and all that the ledger knows stays',
    to: signed(FOUR),
    carried: FOUR,
    want: undefined,
  },
  {
    what: 'a service stands twice',
    to: signed(twice()),
    want: 'unreadable',
    detail: /stands twice/,
  },
  {
    what: 'a service stands twice, whatever is allowed',
    to: signed(twice(), { shrinkAllowedGeneration: 7 }),
    allowShrink: true,
    want: 'unreadable',
  },
]

describe('judgeState', () => {
  for (const { what, from, to, carried, allowShrink = false, want, detail } of ROWS) {
    it(`${want ?? 'takes'}: ${what}`, () => {
      const inForce = inForceOf(from)
      const refusal = judgeState({
        inForce,
        candidate: to,
        change: changeTo(inForce, to),
        carried: new Map(carried?.services.map((one) => [serviceKey(one), 60])),
        allowShrink,
      })
      assert.equal(refusal?.code, want)
      if (detail !== undefined) assert.match(refusal?.detail ?? '', detail)
    })
  }
})
