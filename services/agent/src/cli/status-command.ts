/** `status`: what is in force on this host, read from disk only; works with everything else dead. */
import { HEALTH_STATES, type DrainProgress, type HealthReport } from '@lvs-fleet/contract'
import { EXIT, type Config } from '../config.ts'
import { openReadOnlyDisk } from '../disk/node-disk.ts'
import { holdReason } from '../hold.ts'
import { loadStatus, type SavedStatus } from '../load-status.ts'
import type { Outside } from './session.ts'

export async function statusCommand(config: Config, outside: Outside): Promise<number> {
  const disk = openReadOnlyDisk(config.stateDir)
  const [status, held] = [await loadStatus(disk), await holdReason(disk)]
  if (config.output === 'json') {
    outside.print(`${JSON.stringify({ held: held ?? null, ...status }, null, 2)}\n`)
  } else if (status === undefined) {
    outside.print(`no agent has run with ${config.stateDir} yet\n`)
  } else outside.print(tableOf(status, held))
  return status === undefined ? EXIT.failure : EXIT.ok
}

function pathText(paths: SavedStatus['snapshot']['paths']): string {
  if (paths === null) return 'not measured'
  const { fittingCount, narrowCount, unknownCount } = paths
  return `${fittingCount} as computed, ${narrowCount} too small, ${unknownCount} unknown`
}

function tableOf({ at, snapshot }: SavedStatus, held: string | undefined): string {
  const { applied, rejected, counts, failedOps, drains, health } = snapshot
  const rows: [string, string][] = [
    ['as of', at],
    ['held', held ?? 'no'],
    ['generation', applied === null ? 'none' : `${applied.epoch}.${applied.generation}`],
    ['digest', applied?.digest.slice(0, 16) ?? '-'],
    ['source', snapshot.source],
    ['rejected', rejected === null ? 'no' : `${rejected.code}: ${rejected.detail}`],
    ['virtual services', String(counts.services)],
    ['destinations', String(counts.destinations)],
    ['failed ops', String(snapshot.failedOpCount)],
    ['drift repaired', String(snapshot.driftCount)],
    ['draining', String(snapshot.drainCount)],
    ['health', healthLine(health)],
    ['other weights', String(snapshot.weightCount)],
    ['path MTU', pathText(snapshot.paths)],
  ]
  const lines = rows.map(([name, value]) => `${name.padEnd(18)}${value}`)
  for (const failed of failedOps)
    lines.push(`  failed  ${failed.op}: ${failed.code}: ${failed.message}`)
  for (const { realServer, path, carries, mtu } of snapshot.paths?.narrow ?? [])
    lines.push(`  narrow  ${realServer} (${path}): carries ${carries} of ${mtu} bytes`)
  for (const drain of drains) {
    const rest = `${drain.remainingSeconds} s left, ${drain.connections} connections`
    lines.push(`  drain   ${drain.service} > ${drain.destination}: ${rest}`)
  }
  for (const one of snapshot.drainProgress) {
    lines.push(`  drain   ${one.name}: ${drainText(one)}`)
  }
  for (const one of (health?.checks ?? []).filter(({ state }) => state !== 'up')) {
    const broken = one.class === null ? '' : ` ${one.class}`
    lines.push(
      `  ${one.state.padEnd(8)}${one.realServer} ${one.kind} ${one.address} port ${one.port}${broken} since ${one.since}: ${one.detail}`,
    )
  }
  for (const { service, destination, weight, factors } of snapshot.weights) {
    const because = factors.filter(({ name, value }) => name !== 'intent' && value !== 1)
    const reasons = because.map(({ name, value, why }) => `${name} ${value} (${why})`)
    lines.push(`  weight  ${service} > ${destination}: ${weight}: ${reasons.join(', ')}`)
  }
  return `${lines.join('\n')}\n`
}

function drainText(progress: DrainProgress): string {
  const { destinations, drained, activeConnections, inactiveConnections } = progress
  if (drained === destinations) return `drained, all ${destinations} destinations are out`
  const left = `${activeConnections} active, ${inactiveConnections} other connections`
  return `${drained} of ${destinations} destinations are out; ${left}; ${progress.remainingSeconds} s left`
}

function healthLine(health: HealthReport | null): string {
  if (health === null) return 'nothing is checked'
  return HEALTH_STATES.map((state) => `${health.counts[state]} ${state}`).join(', ')
}
