/** Twenty-five SIGKILLs; `crash.thorough.ts` has five hundred. */
import { test } from 'node:test'
import { killApi, killPostgres, underFire } from './under-fire.ts'

test(
  'kill -9 of the API under load loses no acknowledged write and no audit record',
  { timeout: 180_000 },
  (t) => underFire(t, 12, killApi),
)

test(
  'kill -9 of Postgres under load loses no acknowledged write and no audit record, and the API goes on',
  { timeout: 180_000 },
  (t) => underFire(t, 13, killPostgres),
)
