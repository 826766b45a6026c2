/** The host around the agent: its clock, and the directory in which states and ledger live. */
import type { Check } from '../check.ts'

const SKEW_MAX_SECONDS = 30
const FREE_MIN_BYTES = 64 * 1024 * 1024

export const clockSkew: Check = {
  id: 'clock-skew',
  title: "the clock agrees with the controller's",
  examine: ({ facts }) => {
    const skew = facts.clockSkewSeconds
    if (skew === null || Math.abs(skew) <= SKEW_MAX_SECONDS) return []
    return [
      {
        severity: 'risk',
        object: 'clock',
        found: `${Math.abs(Math.round(skew))} s ${skew > 0 ? 'ahead of' : 'behind'} the controller`,
        wanted: `within ${SKEW_MAX_SECONDS} s`,
        why: 'the controller refuses signed assertions of another time',
        symptom: 'the agent gets no token and no new state; forwarding goes on',
        commands: ['timedatectl set-ntp true'],
        fixable: false,
      },
    ]
  },
}

export const stateDirectory: Check = {
  id: 'state-directory',
  title: 'the state directory can be written and has room',
  examine: ({ facts, state }) => {
    // Where no agent ever ran there is nothing to keep.
    if (state.source === 'none') return []
    const { error, freeBytes } = facts.stateDirectory
    const isFull = freeBytes !== null && freeBytes < FREE_MIN_BYTES
    if (error === null && !isFull) return []
    return [
      {
        severity: error === null ? 'risk' : 'broken',
        object: 'state directory',
        found: error ?? `${Math.floor((freeBytes ?? 0) / 1024 / 1024)} MiB free`,
        wanted: `writable, ${FREE_MIN_BYTES / 1024 / 1024} MiB free`,
        why: 'a state that cannot be kept is not applied: after a restart the agent would go back behind it',
        symptom: 'changes of the intent do not reach this host; forwarding goes on',
        commands: ['df -h /var/lib/lvsfleet-agent', '# make room, or mount it for writing'],
        fixable: false,
      },
    ]
  },
}
