/**
 * After an upgrade: states that are stored in an older format are published anew, because agents of this version read this one.
 * One transaction under publish's lock; whichever process comes second finds nothing to do. What cannot be published is a log line:
 * agents then keep what they have, and an operator's next change tries again.
 */
import type { Deps } from './deps.ts'
import { publish } from './publish.ts'
import { isOldFormat } from './state-format.ts'

const ACTOR = 'controller'

/** How many hosts got a newer generation. */
export async function republishOldFormats(deps: Deps): Promise<number> {
  const old = [...deps.live.snapshot.states.values()].filter(isOldFormat)
  if (old.length === 0) return 0
  try {
    const { hosts } = await publish(deps, {
      actor: ACTOR,
      action: 'controller.republish',
      republish: true,
      change: (held) => held.fleet,
    })
    deps.log.info({ hosts: hosts.length }, 'states of an older format are published anew')
    return hosts.length
  } catch (error) {
    deps.log.error(
      { err: error, hosts: old.length },
      'states of an older format cannot be published anew: agents keep what they have; change what is wrong in the intent',
    )
    return 0
  }
}
