/** Turns what zod and validate found into ApiErrors, each with the pointer of the field. Pure. */
import type { z } from 'zod'
import { ApiError, type ErrorDetail } from '../errors.ts'
import type { Kind } from '../intent/kinds.ts'
import { jsonPointer, type Problem } from '../intent/problem.ts'
import { meantBy, MISSING } from './field-words.ts'

/** Errors in one answer. */
export const ERRORS_MAX = 100

export function zodDetails(error: z.core.$ZodError): ErrorDetail[] {
  // A needed field that is misspelt is told once: where it stands.
  const meant = new Set<string>()
  return error.issues
    .slice(0, ERRORS_MAX)
    .flatMap((issue) => detailsOf(issue, meant))
    .filter(({ code, pointer }) => code !== 'missing-field' || !meant.has(pointer))
}

/** Puts into `meant` the pointers of fields that misspelt ones were to be. */
function detailsOf(issue: z.core.$ZodIssue, meant: Set<string>): ErrorDetail[] {
  const pointer = pointerTo(issue)
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, ERRORS_MAX).map((key) => {
      const field = meantBy(key, issue)
      if (field !== undefined) meant.add(pointerTo(issue, field))
      const hint = field === undefined ? '' : `: did you mean ${field}?`
      const message = `is no known field${hint}`
      return { pointer: pointerTo(issue, key), code: 'unknown-field', message }
    })
  }
  if (issue.code === 'invalid_key') {
    const message = issue.issues[0]?.message ?? issue.message
    return [{ pointer, code: 'invalid-name', message }]
  }
  const isMissing = issue.code === 'invalid_type' && issue.message.startsWith(MISSING)
  const code = isMissing ? 'missing-field' : issue.code.replaceAll('_', '-')
  return [{ pointer, code, message: issue.message }]
}

function pointerTo({ path }: z.core.$ZodIssue, ...more: readonly string[]): string {
  return jsonPointer([
    ...path.map((part) => (typeof part === 'number' ? part : String(part))),
    ...more,
  ])
}

export function invalidBody(error: z.core.$ZodError): ApiError {
  const errors = zodDetails(error)
  return new ApiError('invalid-body', sentence(errors), { errors })
}

/** Problems of a whole fleet: pointers into the fleet document. */
export function invalidFleet(problems: readonly Problem[]): ApiError {
  const errors = problems.slice(0, ERRORS_MAX).map(problemDetail)
  return new ApiError('invalid-intent', sentence(errors), { errors })
}

/** Problems after a change of one object: what is wrong in it points into the body, the rest into the fleet. */
export function invalidObject(kind: Kind, name: string) {
  return (problems: readonly Problem[]): ApiError => {
    const errors = problems.slice(0, ERRORS_MAX).map((problem) => ({
      ...problemDetail(problem),
      ...(problem.kind === kind && problem.name === name
        ? { pointer: jsonPointer(problem.path) }
        : {}),
    }))
    return new ApiError('invalid-intent', sentence(errors), { errors })
  }
}

/** Problems after a removal are those of the objects that refer to it. */
export function stillReferenced(kind: Kind, name: string) {
  return (problems: readonly Problem[]): ApiError => {
    const errors = problems.slice(0, ERRORS_MAX).map(problemDetail)
    const referrers = [...new Set(errors.map((error) => error.object))]
    return new ApiError('referenced', `${kind} ${name} is needed by ${referrers.join(', ')}`, {
      errors,
    })
  }
}

export function problemDetail({ kind, name, pointer, code, message }: Problem): ErrorDetail {
  return { pointer, code, message, object: `${kind}/${name}` }
}

function sentence(errors: readonly ErrorDetail[]): string {
  const first = errors[0]
  if (first === undefined) return 'it is not valid'
  const where = [first.object, first.pointer]
    .filter((part) => part !== undefined && part !== '')
    .join(' ')
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''
  return `${where === '' ? '' : `${where}: `}${first.message}${more}`
}
