/**
 * Connection sync: the daemons that the state wants run, with its parameters. Both directors of a pair are
 * compiled from one intent, which holds their ids, group and port equal; so where each runs what it was told,
 * they understand each other. Nothing in the kernel says whether the other end hears.
 */
import type { SyncDaemonState } from '@lvs-fleet/contract'
import type { ObservedSyncDaemon } from '../../kernel/kernel.ts'
import { isSameDaemon } from '../../plan/network-plan.ts'
import type { Check, Found } from '../check.ts'

export const syncDaemon: Check = {
  id: 'sync-daemon',
  title: 'the sync daemon runs, as its pair expects it',
  examine: ({ facts, state }) => {
    const running = facts.syncDaemons
    if (running === null) return []
    return state.host.syncDaemons.flatMap((daemon): Found[] => {
      const standing = running.find(({ role }) => role === daemon.role)
      if (standing !== undefined && isSameDaemon(daemon, standing, facts.network)) return []
      return [findingOf(daemon, standing)]
    })
  },
}

function findingOf(daemon: SyncDaemonState, standing: ObservedSyncDaemon | undefined): Found {
  const { role, place } = daemon
  const device = 'device' in place ? place.device : `the interface of ${place.holding}`
  return {
    severity: 'risk',
    object: `sync daemon ${role}`,
    found: standing === undefined ? 'not running' : textOf(standing, standing.device),
    wanted: textOf(daemon, device),
    why:
      role === 'master'
        ? 'the other director of the pair does not hear of the connections of this one'
        : 'this director does not hear of the connections of the other one of its pair',
    symptom: 'nothing, until the other director takes over: then all standing connections break',
    commands: [
      ...(standing === undefined ? [] : [`ipvsadm --stop-daemon ${role}`]),
      'lvsfleet-agent doctor --fix --only sync-daemon',
    ],
    fixable: true,
  }
}

function textOf(daemon: SyncDaemonState | ObservedSyncDaemon, device: string): string {
  const { syncId, group, port, ttl, maxlen } = daemon
  const size = maxlen === null ? '' : `, maxlen ${maxlen}`
  return `id ${syncId} on ${device}, group ${group} port ${port} ttl ${ttl}${size}`
}
