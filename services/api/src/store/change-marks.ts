/**
 * What moves when anything moves that a process keeps in memory, in one question to the database:
 * the newest revision, and when sessions of hosts were last made void.
 */
import { sql } from 'drizzle-orm'
import * as z from 'zod'
import type { Queryable } from './database.ts'
import { hosts, revisions } from './schema.ts'

const marksSchema = z.tuple([z.object({ revision: z.int(), voided: z.string() })])

export type ChangeMarks = z.infer<typeof marksSchema>[0]

export async function loadChangeMarks(db: Queryable): Promise<ChangeMarks> {
  const { rows } = await db.execute<Record<string, unknown>>(sql`
    select (select coalesce(max(${revisions.number}), 0)::int from ${revisions}) as revision,
           (select concat(count(*), ' ', max(${hosts.sessionsVoidAt})) from ${hosts}
             where ${hosts.sessionsVoidAt} is not null) as voided`)
  return marksSchema.parse(rows)[0]
}
