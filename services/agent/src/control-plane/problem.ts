/** One line for a person from a refusing answer: the title and detail of problem+json, else the status. */
import * as z from 'zod/mini'

const problemSchema = z.object({
  title: z.optional(z.string()),
  detail: z.optional(z.string()),
  code: z.optional(z.string()),
})

export function problemText(status: number, body: string): string {
  const problem = parseProblem(body)
  const text = [problem?.code, problem?.detail ?? problem?.title].filter(
    (part) => part !== undefined,
  )
  return text.length === 0
    ? `status ${status}`
    : `${text.join(': ').slice(0, 400)} (status ${status})`
}

export function problemCode(body: string): string | undefined {
  return parseProblem(body)?.code
}

function parseProblem(body: string): z.infer<typeof problemSchema> | undefined {
  try {
    const parsed = problemSchema.safeParse(JSON.parse(body))
    return parsed.success ? parsed.data : undefined
  } catch {
    return undefined
  }
}
