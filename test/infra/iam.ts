/**
 * IAM's verdict on a policy of our own form: what no statement allows is refused, and a denial stands above all. Names may have
 * stars; of conditions there is StringEquals only, and a statement with any other throws instead of being guessed.
 * Source: IAM user guide, "Policy evaluation logic".
 */
import * as z from 'zod'

const statementSchema = z.strictObject({
  Sid: z.string(),
  Effect: z.enum(['Allow', 'Deny']),
  Action: z.array(z.string()),
  Resource: z.array(z.string()),
  Condition: z.strictObject({ StringEquals: z.record(z.string(), z.array(z.string())) }).optional(),
})
export const policySchema = z.strictObject({
  Version: z.literal('2012-10-17'),
  Statement: z.array(statementSchema),
})
export type Policy = z.output<typeof policySchema>

/** `context` has the keys that conditions ask for; one that is missing fits nothing. */
export function allows(
  policy: Policy,
  action: string,
  resource: string,
  context: Readonly<Record<string, string>>,
): boolean {
  const fitting = policy.Statement.filter(
    ({ Action, Resource, Condition }) =>
      Action.some((pattern) => fits(pattern, action)) &&
      Resource.some((pattern) => fits(pattern, resource)) &&
      Object.entries(Condition?.StringEquals ?? {}).every(([key, wanted]) =>
        wanted.includes(context[key] ?? ''),
      ),
  )
  return fitting.length > 0 && fitting.every(({ Effect }) => Effect === 'Allow')
}

/** In a name `*` is any run of characters, slashes among them, and `?` any single one. */
function fits(pattern: string, name: string): boolean {
  const parts = pattern.split(/([*?])/).map((part) => {
    if (part === '*') return '.*'
    return part === '?' ? '.' : part.replaceAll(/[^A-Za-z0-9]/g, '\\$&')
  })
  return new RegExp(`^${parts.join('')}$`).test(name)
}
