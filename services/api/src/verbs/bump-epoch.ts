/**
 * A new epoch: every host's state is published anew, above anything that was published before, whatever its
 * generation. For after a restore from backup, when agents hold newer generations than the database knows
 * and would, rightly, refuse older ones.
 */
import type { Deps } from './deps.ts'
import { publish, type Published } from './publish.ts'

export function bumpEpoch(deps: Deps, actor: string): Promise<Published> {
  return publish(deps, {
    actor,
    action: 'controller.new-epoch',
    newEpoch: true,
    change: (held) => held.fleet,
  })
}
