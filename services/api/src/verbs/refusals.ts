/** Turns what zod and validate found into ApiErrors, each with the pointer of the field. Pure. */
import type { z } from 'zod'
import { ApiError, type ErrorDetail } from '../errors.ts'
import type { Kind } from '../intent/kinds.ts'
import { jsonPointer, type Problem } from '../intent/problem.ts'

/** Errors in one answer. */
export const ERRORS_MAX = 100

export function zodDetails(error: z.core.$ZodError): ErrorDetail[] {
  const details: ErrorDetail[] = []
  for (const issue of error.issues.slice(0, ERRORS_MAX)) {
    const path = issue.path.map((part) => (typeof part === 'number' ? part : String(part)))
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys.slice(0, ERRORS_MAX)) {
        details.push({
          pointer: jsonPointer([...path, key]),
          code: 'unknown-field',
          message: 'is no known field',
        })
      }
    } else if (issue.code === 'invalid_key') {
      const message = issue.issues[0]?.message ?? issue.message
      details.push({ pointer: jsonPointer(path), code: 'invalid-name', message })
    } else if (issue.code === 'invalid_type' && issue.message.endsWith('received undefined')) {
      details.push({
        pointer: jsonPointer(path),
        code: 'missing-field',
        message: `is missing: ${article(issue.expected)} belongs here`,
      })
    } else {
      details.push({
        pointer: jsonPointer(path),
        code: issue.code.replaceAll('_', '-'),
        message: issue.message,
      })
    }
  }
  return details
}

function article(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`
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
