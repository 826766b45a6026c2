/** Changes of one weight, one after the other, each in the kernel before the next. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Controller } from '../test/lab/fleet/controller.ts'
import { members, SMALL_POOL } from './intent.ts'
import { converged } from './standing-agent.ts'

/** Gives what makes so many changes on the director `name`, and tells how long the API took to answer each, in ms. */
export function weightChanges(
  controller: Controller,
  name: string,
): (count: number) => Promise<readonly number[]> {
  let weight = 100
  return async (count) => {
    const answers: number[] = []
    for (let i = 0; i < count; i++) {
      weight = weight === 100 ? 50 : 100
      const body = { members: members(weight) }
      const asked = performance.now()
      await controller.call('PATCH', `/v1/pools/${SMALL_POOL}?force=true`, body)
      answers.push(performance.now() - asked)
      await converged(controller, name)
      await sleep(20)
    }
    return answers
  }
}
