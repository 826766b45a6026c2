/** Rules of a pool's policy that its schema cannot see: names that must exist, members that need it. Pure. */
import type { PoolSpec } from './kinds.ts'
import { problem, type Problem } from './problem.ts'

export function policyProblems(
  pool: PoolSpec,
  names: { readonly sites: ReadonlySet<string>; readonly realServers: ReadonlySet<string> },
): Problem[] {
  const { policy } = pool
  if (policy === null) return strayLevels(pool)
  const problems: Problem[] = []
  const at = (...path: (string | number)[]) =>
    ({ kind: 'pool', name: pool.name, path: ['policy', ...path] }) as const
  if (typeof policy.levels !== 'string') {
    for (const [i, site] of policy.levels.entries()) {
      if (names.sites.has(site)) continue
      problems.push(problem(at('levels', i), 'unknown-name', `there is no site named ${site}`))
    }
  }
  for (const site of Object.keys(policy.capacity)) {
    if (names.sites.has(site)) continue
    problems.push(problem(at('capacity', site), 'unknown-name', `there is no site named ${site}`))
  }
  return [...problems, ...sorryProblems(pool, names.realServers)]
}

/** Nobody would have anything to count. */
export function quorumProblems({ name, check, quorum }: PoolSpec): Problem[] {
  if (quorum === null || check !== null) return []
  const at = { kind: 'pool', name, path: ['quorum'] } as const
  return [problem(at, 'quorum-without-check', 'counts nothing in a pool without a check')]
}

/** A level that nobody reads is a mistake. */
function strayLevels(pool: PoolSpec): Problem[] {
  return pool.members.flatMap(({ level }, i) => {
    if (level === null) return []
    const at = { kind: 'pool', name: pool.name, path: ['members', i, 'level'] } as const
    const text = 'means nothing in a pool without a policy: set policy: {}, or leave it out'
    return [problem(at, 'level-without-policy', text)]
  })
}

function sorryProblems(pool: PoolSpec, realServers: ReadonlySet<string>): Problem[] {
  const sorry = pool.policy?.sorryServer ?? null
  if (sorry === null) return []
  const at = {
    kind: 'pool',
    name: pool.name,
    path: ['policy', 'sorryServer', 'realServer'],
  } as const
  if (!realServers.has(sorry.realServer)) {
    return [problem(at, 'unknown-name', `there is no real server named ${sorry.realServer}`)]
  }
  // One with a port and one without may meet on the same port of one virtual service.
  const isMember = pool.members.some(
    ({ realServer, port }) =>
      realServer === sorry.realServer &&
      (port === sorry.port || port === null || sorry.port === null),
  )
  if (!isMember) return []
  const text = `${sorry.realServer} is a member of the pool: the sorry server answers when members do not`
  return [problem(at, 'duplicate', text)]
}
