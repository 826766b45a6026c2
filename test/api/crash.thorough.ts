/** Five hundred SIGKILLs of API and Postgres under write load; a few of them run with every test. */
import { test } from 'node:test'
import { killApi, killPostgres, underFire } from './under-fire.ts'

const KILLS = 250

test(
  'kill -9 of the API under load loses no acknowledged write and no audit record',
  { timeout: 1_800_000 },
  (t) => underFire(t, KILLS, killApi),
)

test(
  'kill -9 of Postgres under load loses no acknowledged write and no audit record, and the API goes on',
  { timeout: 1_800_000 },
  (t) => underFire(t, KILLS, killPostgres),
)
