/** Reads a paged list to its end. */
import type { z } from 'zod'
import type { ApiClient } from '../api-client.ts'

const PAGE_SIZE = '1000'

export async function readPages<T>(
  api: ApiClient,
  path: string,
  schema: z.ZodType<{
    readonly items: readonly T[]
    readonly nextCursor?: string | null | undefined
  }>,
  query: Readonly<Record<string, string | undefined>> = {},
): Promise<T[]> {
  const items: T[] = []
  let cursor: string | undefined
  do {
    const page = schema.parse(
      await api.json({ path, query: { ...query, limit: PAGE_SIZE, cursor } }),
    )
    items.push(...page.items)
    cursor = page.nextCursor ?? undefined
  } while (cursor !== undefined)
  return items
}
