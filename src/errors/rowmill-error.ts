import { type ErrorCode, type ErrorEntry, errorRegister } from './register.ts'

export type RowmillErrorOptions = { cause?: unknown; details?: Readonly<Record<string, unknown>> }

/**
 * An operating error. Its message is one sentence of its own with the values involved; what caused it is in
 * `cause`, and the logger prints the chain. Never match on messages: match on `code`.
 */
export class RowmillError extends Error {
  override readonly name = 'RowmillError'
  readonly code: ErrorCode
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: RowmillErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
  }

  get entry(): ErrorEntry {
    return errorRegister[this.code]
  }
}

export function isRowmillError(error: unknown, code?: ErrorCode): error is RowmillError {
  return error instanceof RowmillError && (code === undefined || error.code === code)
}

/** Whether the same call may succeed later. Anything that is no operating error is a bug: false. */
export function isRetryable(error: unknown): boolean {
  return error instanceof RowmillError && error.entry.retry
}
