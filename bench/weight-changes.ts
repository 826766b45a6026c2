/** Changes of one weight, one after the other, each in the kernel before the next. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Controller } from '../test/lab/fleet/controller.ts'
import { members, SMALL_POOL } from './intent.ts'
import { converged } from './standing-agent.ts'

/** Gives what makes so many changes on the director `name`. */
export function weightChanges(
  controller: Controller,
  name: string,
): (count: number) => Promise<void> {
  let weight = 100
  return async (count) => {
    for (let i = 0; i < count; i++) {
      weight = weight === 100 ? 50 : 100
      const body = { members: members(weight) }
      await controller.call('PATCH', `/v1/pools/${SMALL_POOL}?force=true`, body)
      await converged(controller, name)
      await sleep(20)
    }
  }
}
