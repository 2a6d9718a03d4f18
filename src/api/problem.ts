import { type ErrorCode, errorRegister } from '../errors/register.ts'

/** What an API request is refused with, in PostHog's shape: `{type, code, detail, attr}` and more fields where they help. */
export type ProblemBody = {
  type: 'authentication_error' | 'validation_error' | 'invalid_request' | 'throttled_error' | 'server_error'
  code: string
  detail: string
  attr: string | null
  [more: string]: unknown
}

export type ProblemFields = Pick<ProblemBody, 'type' | 'code' | 'detail'> & {
  attr?: string
  [more: string]: unknown
}

/** Ends a request with a status and a body. It is the caller's mistake or the state of the system, never a bug. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly status: number
  readonly body: ProblemBody

  constructor(status: number, body: ProblemFields) {
    super(body.detail)
    this.status = status
    this.body = { attr: null, ...body }
  }
}

export function notFound(detail = 'Not found.'): Problem {
  return new Problem(404, { type: 'invalid_request', code: 'not_found', detail })
}

export function invalidInput(detail: string, attr?: string): Problem {
  return new Problem(400, {
    type: 'validation_error',
    code: 'invalid_input',
    detail,
    ...(attr === undefined ? {} : { attr }),
  })
}

/**
 * The answer for an operating error: its status and meaning by the register. What the error itself says may
 * name statements and values, so it goes to the log alone.
 */
export function problemOf(code: ErrorCode): Problem {
  const { status, means } = errorRegister[code]
  return new Problem(status, { type: 'server_error', code: code.toLowerCase(), detail: means })
}
