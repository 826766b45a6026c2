/**
 * ApiError: an expected refusal, with a code from one closed list that clients branch on.
 * The list gives each code its HTTP status and its title; `http/problem.ts` is the only place that maps it.
 */
export const ERROR_CODES = {
  'malformed-json': [400, 'The body is not JSON'],
  'too-deep': [400, 'The body nests too deeply'],
  'invalid-parameter': [400, 'A parameter is not valid'],
  unauthenticated: [401, 'No valid credential'],
  'invalid-token': [401, 'The token is not valid'],
  'invalid-assertion': [401, 'The client assertion is not valid'],
  'invalid-challenge': [401, 'The challenge is not valid'],
  'enrolment-not-allowed': [403, 'Nothing lets this host in'],
  'enrolment-refused': [403, 'A person refused this host'],
  quarantined: [403, 'This identity is held off'],
  forbidden: [403, 'Not allowed with this credential'],
  'not-found': [404, 'There is no such thing'],
  'not-published': [404, 'Nothing is published for this host'],
  'method-not-allowed': [405, 'This resource does not know the method'],
  conflict: [409, 'It is in the way of something that stands'],
  referenced: [409, 'Other objects refer to it'],
  'already-enrolled': [409, 'A host of that name is enrolled'],
  'enrolment-mismatch': [409, 'The token is for another host'],
  'shrink-held': [409, 'The change would remove too much'],
  'cursor-gone': [410, 'The events after this cursor are not kept'],
  'stale-version': [412, 'It changed since it was read'],
  'body-too-large': [413, 'The body is too large'],
  'unsupported-media-type': [415, 'The body must be JSON'],
  'invalid-body': [422, 'The body is not valid'],
  'invalid-intent': [422, 'The fleet would not be valid'],
  'unsupported-agent': [426, 'This version of the agent is not supported'],
  'precondition-required': [428, 'Say which version is replaced'],
  'too-many-requests': [429, 'Too many requests'],
  internal: [500, 'The server made a mistake'],
  'not-offered': [501, 'This installation does not offer that'],
  'key-missing': [503, 'A signing key is missing'],
  'aws-unavailable': [503, 'AWS does not answer'],
  'database-unavailable': [503, 'The database does not answer'],
  busy: [503, 'Too many changes are waiting'],
} as const satisfies Record<string, readonly [number, string]>

export type ErrorCode = keyof typeof ERROR_CODES
export type ErrorStatus = (typeof ERROR_CODES)[ErrorCode][0]

/** One thing wrong, with where: `pointer` is RFC 6901 into the body, or into the fleet document when `object` is another. */
export type ErrorDetail = {
  readonly pointer: string
  readonly code: string
  readonly message: string
  /** `virtual-service/web`. */
  readonly object?: string
}

export class ApiError extends Error {
  readonly code: ErrorCode
  readonly errors: readonly ErrorDetail[]
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      readonly errors?: readonly ErrorDetail[]
      readonly headers?: Readonly<Record<string, string>>
      readonly cause?: unknown
    } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.name = 'ApiError'
    this.code = code
    this.errors = options.errors ?? []
    this.headers = options.headers ?? {}
  }

  get status(): ErrorStatus {
    return ERROR_CODES[this.code][0]
  }
}
