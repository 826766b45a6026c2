/** Rows: what is wanted, what stands, what is ours → the ops as text. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  describeOp,
  ip,
  type DestinationState,
  type EndpointRef,
  type EndpointService,
  type ServiceState,
} from '@lvs-fleet/contract'
import type { ObservedDestination } from '../kernel/kernel.ts'
import { NO_LOOKS } from './drain-look.ts'
import { planService, type ServiceContext, type StandingService } from './plan-service.ts'

const STATS = { connections: 0n, inPackets: 0n, outPackets: 0n, inBytes: 0n, outBytes: 0n }
const NOW = 1_000_000
const WALL = 2_000_000

function wanted(
  weights: Record<string, number>,
  fields: Partial<EndpointService> = {},
): ServiceState {
  const destinations = Object.entries(weights).map(([address, weight]): DestinationState => ({
    realServer: address,
    address: ip(address),
    port: 80,
    forwarding: { method: 'dr' },
    weight,
    upperThreshold: 0,
    lowerThreshold: 0,
  }))
  return {
    name: 'web',
    protocol: 'tcp',
    address: ip('10.1.0.100'),
    port: 80,
    scheduler: 'wrr',
    flags: [],
    persistence: null,
    drainSeconds: 60,
    destinations,
    ...fields,
  }
}

type Standing = { weight: number; active?: number; inactive?: number; exact?: boolean }

function standing(
  destinations: Record<string, Standing>,
  fields: Partial<Extract<StandingService, EndpointRef>> = {},
): StandingService {
  return {
    protocol: 'tcp',
    address: ip('10.1.0.100'),
    port: 80,
    scheduler: 'wrr',
    flags: [],
    persistence: null,
    exact: true,
    stats: STATS,
    destinations: Object.entries(destinations).map(
      ([address, { weight, active = 0, inactive = 0, exact = true }]): ObservedDestination => ({
        address: ip(address),
        port: 80,
        forwarding: { method: 'dr' },
        weight,
        upperThreshold: 0,
        lowerThreshold: 0,
        exact,
        activeConnections: active,
        inactiveConnections: inactive,
        persistentConnections: 0,
        stats: STATS,
      }),
    ),
    ...fields,
  }
}

type Row = {
  name: string
  desired?: ServiceState
  observed?: StandingService
  context?: Partial<ServiceContext>
  edits?: string[]
  removals?: string[]
  drains?: Record<string, number>
  conflict?: boolean
}

const A = '10.1.0.11'
const B = '10.1.0.12'
const S = 'tcp/10.1.0.100:80'

const ROWS: Row[] = [
  {
    name: 'equal: nothing',
    desired: wanted({ [A]: 1 }),
    observed: standing({ [A]: { weight: 1 } }),
  },
  {
    name: 'missing: service, then destinations',
    desired: wanted({ [A]: 1, [B]: 2 }),
    edits: [
      `+ service ${S} wrr`,
      `+ destination ${S} > ${A}:80 dr weight 1`,
      `+ destination ${S} > ${B}:80 dr weight 2`,
    ],
  },
  {
    name: 'a swap of weights raises before it lowers',
    desired: wanted({ [A]: 0, [B]: 1 }),
    observed: standing({ [A]: { weight: 1 }, [B]: { weight: 0 } }),
    edits: [
      `~ destination ${S} > ${B}:80 dr weight 0 -> dr weight 1`,
      `~ destination ${S} > ${A}:80 dr weight 1 -> dr weight 0`,
    ],
  },
  {
    name: 'settings that the vocabulary cannot say are edited over',
    desired: wanted({ [A]: 1 }),
    observed: standing({ [A]: { weight: 1, exact: false } }),
    edits: [`~ destination ${S} > ${A}:80 dr weight 1 -> dr weight 1`],
  },
  {
    name: 'a busy destination that leaves is quiesced and drains',
    desired: wanted({ [B]: 1 }),
    observed: standing({ [A]: { weight: 1, active: 3 }, [B]: { weight: 1 } }),
    removals: [`~ destination ${S} > ${A}:80 dr weight 1 -> dr weight 0`],
    drains: { [`${A}:80`]: NOW + 60_000 },
  },
  {
    name: 'one that was quiet already goes at once',
    desired: wanted({ [B]: 1 }),
    observed: standing({ [A]: { weight: 0 }, [B]: { weight: 1 } }),
    removals: [`- destination ${S} > ${A}:80`],
  },
  {
    name: 'one with inactive connections is idle for tcp',
    desired: wanted({ [B]: 1 }),
    observed: standing({ [A]: { weight: 0, inactive: 9 }, [B]: { weight: 1 } }),
    removals: [`- destination ${S} > ${A}:80`],
  },
  {
    name: 'and busy for udp',
    desired: wanted({ [B]: 1 }, { protocol: 'udp' }),
    observed: standing(
      { [A]: { weight: 0, inactive: 9 }, [B]: { weight: 1 } },
      { protocol: 'udp' },
    ),
    drains: { [`${A}:80`]: NOW + 60_000 },
  },
  {
    name: 'at its deadline it goes whatever is left',
    desired: wanted({ [B]: 1 }),
    observed: standing({ [A]: { weight: 0, active: 5 }, [B]: { weight: 1 } }),
    context: { drains: new Map([[`${A}:80`, NOW]]) },
    removals: [`- destination ${S} > ${A}:80`],
  },
  {
    name: 'before its deadline it stays',
    desired: wanted({ [B]: 1 }),
    observed: standing({ [A]: { weight: 0, active: 5 }, [B]: { weight: 1 } }),
    context: { drains: new Map([[`${A}:80`, NOW + 1]]) },
    drains: { [`${A}:80`]: NOW + 1 },
  },
  {
    name: 'what comes back is an edit, and its drain is over',
    desired: wanted({ [A]: 4, [B]: 1 }),
    observed: standing({ [A]: { weight: 0, active: 5 }, [B]: { weight: 1 } }),
    context: { drains: new Map([[`${A}:80`, NOW + 1]]) },
    edits: [`~ destination ${S} > ${A}:80 dr weight 0 -> dr weight 4`],
  },
  {
    name: 'no time to drain: removed without a weight edit',
    desired: wanted({ [B]: 1 }),
    observed: standing({ [A]: { weight: 1, active: 5 }, [B]: { weight: 1 } }),
    context: { drainSeconds: 0 },
    removals: [`- destination ${S} > ${A}:80`],
  },
  {
    name: 'a service that leaves drains all it has',
    observed: standing({ [A]: { weight: 2, active: 1 }, [B]: { weight: 0 } }),
    removals: [
      `~ destination ${S} > ${A}:80 dr weight 2 -> dr weight 0`,
      `- destination ${S} > ${B}:80`,
    ],
    drains: { [`${A}:80`]: NOW + 60_000 },
  },
  {
    name: 'and goes with the last',
    observed: standing({ [A]: { weight: 0 } }),
    removals: [`- destination ${S} > ${A}:80`, `- service ${S}`],
  },
  {
    name: 'a foreign service nobody wants is left alone',
    observed: standing({ [A]: { weight: 1 } }),
    context: { owned: false },
  },
  {
    name: 'a foreign service that is wanted is a conflict',
    desired: wanted({ [A]: 5 }),
    observed: standing({ [A]: { weight: 1 } }),
    context: { owned: false },
    conflict: true,
  },
  {
    name: 'adopted, it is edited in place',
    desired: wanted({ [A]: 5 }, { scheduler: 'rr' }),
    observed: standing({ [A]: { weight: 1 }, [B]: { weight: 0 } }),
    context: { owned: false, adopt: true },
    edits: [`~ service ${S} wrr -> rr`, `~ destination ${S} > ${A}:80 dr weight 1 -> dr weight 5`],
    removals: [`- destination ${S} > ${B}:80`],
  },
]

for (const row of ROWS) {
  test(row.name, () => {
    const plan = planService(row.desired, row.observed, {
      owned: true,
      adopt: false,
      nowMs: NOW,
      drainSeconds: 60,
      wallMs: WALL,
      drains: new Map(),
      asked: new Map(),
      looks: NO_LOOKS,
      ...row.context,
    })
    assert.deepEqual(plan.edits.map(describeOp), row.edits ?? [])
    assert.deepEqual(plan.removals.map(describeOp), row.removals ?? [])
    assert.deepEqual(Object.fromEntries(plan.drains), row.drains ?? {})
    assert.equal(plan.conflict?.code, row.conflict === true ? 'conflict' : undefined)
    if (row.conflict === true)
      assert.match(plan.conflict?.message ?? '', /set adopt: true on the director/)
  })
}
